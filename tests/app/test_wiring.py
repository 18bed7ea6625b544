import subprocess
import sys

import pytest

from app.settings import ROOT, Settings
from app.wiring import build_generator, build_rag, open_assay, open_database
from data.errors import InfrastructureError, InvalidInput
from serving.config_llm import LLMConfig

HEAVY = ("torch", "transformers", "sentence_transformers", "langchain_openai", "langgraph", "onnxruntime")


@pytest.mark.slow
def test_opening_the_product_loads_no_model_and_no_graph(tmp_path):
    """In a process of its own: this one has loaded everything already."""
    probe = f"""
import sys
from pathlib import Path
from app.settings import Settings
from app.wiring import open_assay
open_assay(Settings(home=Path({str(tmp_path)!r}))).close()
print([name for name in {HEAVY} if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_everything_is_made_below_home(tmp_path):
    open_assay(Settings(home=tmp_path)).close()
    assert {path.name for path in tmp_path.iterdir()} == {"var"}
    assert (tmp_path / "var" / "assay.db").exists()


def test_a_home_without_room_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="ASSAY_HOME") as caught:
        open_database(Settings(home=tmp_path / "file"))
    assert caught.value.field == "home"


def test_a_database_that_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(InfrastructureError, match="unable to open"):
        open_database(Settings(home=tmp_path, database_url=f"sqlite:///{tmp_path / 'no' / 'folder.db'}"))


def test_without_a_language_model_there_is_no_generator(tmp_path):
    assert build_generator(Settings(home=tmp_path)) is None


def test_a_model_behind_a_url_is_named_and_asked_only_when_there_is_a_question(tmp_path):
    llm = LLMConfig(model="tiny", base_url="http://127.0.0.1:9/v1")
    assert build_generator(Settings(home=tmp_path, llm=llm)).name == "tiny"


def test_the_graph_keeps_its_conversations_in_the_same_database(tmp_path):
    settings = Settings(home=tmp_path)
    assay = open_assay(settings)
    build_rag(settings, assay)
    with assay.stores.database.read() as connection:
        tables = set(connection.exec_driver_sql("select name from sqlite_master").scalars())
    assay.close()
    assert {"checkpoints", "documents"} <= tables
