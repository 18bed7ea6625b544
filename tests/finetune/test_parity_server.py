"""The server that parity asks before registration: stand-ins for vLLM here, a real one at the end."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from data.errors import InfrastructureError, InvalidInput, ModelUnavailable, UsageError
from finetune.parity_server import check_server, command, served_form
from finetune.recipe import parse_recipe
from tests.serving.vllm.fake_vllm import FakeVLLM
from tests.vllm_server import ROOT, run_python

GIVEN = {
    "kind": "sft",
    "name": "small",
    "base": {"path": "models/base"},
    "data": {"train": [{"path": "rows.jsonl", "licence": "CC0-1.0"}]},
}
STAND_IN = f"""#!{sys.executable}
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

port = sys.argv[sys.argv.index("--port") + 1]
Path(__file__).with_suffix(".port").write_text(port)
HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


def recipe(tmp_path: Path, **served):
    return parse_recipe(GIVEN | {"output": str(tmp_path), "parity": {"served": served}})


@pytest.fixture
def adapter(tmp_path) -> Path:
    folder = tmp_path / "small" / "adapter"
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("served", [{}, {"url": "http://127.0.0.1:1", "python": "python"}])
def test_a_recipe_names_one_server(tmp_path, served):
    with pytest.raises(InvalidInput, match="either url or python"):
        recipe(tmp_path, **served)


def test_without_a_server_in_the_recipe_nothing_is_asked(adapter):
    plain = parse_recipe(GIVEN)
    check_server(plain)
    with served_form(plain, adapter) as form:
        assert form is None


def test_a_server_that_is_not_there_is_noticed_before_training(tmp_path):
    with pytest.raises(ModelUnavailable, match="assay llm up"):
        check_server(recipe(tmp_path, url="http://127.0.0.1:9"))
    with pytest.raises(UsageError, match="make vllm"):
        check_server(recipe(tmp_path, python=str(tmp_path / "no-python")))


@pytest.mark.slow
def test_the_key_is_read_where_vllm_reads_it(tmp_path, monkeypatch):
    with FakeVLLM(key="k").served() as url:
        with pytest.raises(ModelUnavailable, match="VLLM_API_KEY"):
            check_server(recipe(tmp_path, url=url))
        monkeypatch.setenv("VLLM_API_KEY", "k")
        check_server(recipe(tmp_path, url=f"{url}/v1"))


@pytest.mark.slow
def test_on_a_running_server_the_adapter_is_loaded_under_its_digest_and_unloaded_whatever_happens(tmp_path, adapter):
    fake = FakeVLLM()
    with fake.served() as url:
        with served_form(recipe(tmp_path, url=url), adapter) as form:
            assert fake.loaded == {form.name: str(adapter)}
        first = form.name
        assert first.startswith("small@parity-")
        (adapter / "adapter_model.safetensors").write_bytes(b"other weights")
        with pytest.raises(ZeroDivisionError), served_form(recipe(tmp_path, url=url), adapter) as form:
            raise ZeroDivisionError
        assert form.name != first
        assert fake.loaded == {}


@pytest.mark.slow
def test_a_server_that_cannot_load_the_adapter_is_told_with_its_reason(tmp_path, adapter):
    fake = FakeVLLM()
    with fake.served() as url:
        with served_form(recipe(tmp_path, url=url), adapter) as form:
            fake.fails = form.name
        with (
            pytest.raises(ModelUnavailable, match="rank 64 is greater"),
            served_form(recipe(tmp_path, url=url), adapter),
        ):
            pass


def test_a_started_server_loads_base_and_adapter_as_they_were_trained(tmp_path, adapter):
    asked = parse_recipe(
        GIVEN
        | {
            "base": {"path": "org/base", "revision": "abc", "chat_template": "t.jinja"},
            "lora": {"r": 16},
            "train": {"max_length": 512},
            "parity": {"served": {"python": "py", "args": ["--gpu-memory-utilization", "0.5"]}},
        }
    )
    given = command(asked, asked.parity.served, "small@parity-1", adapter, 8011)
    assert given[:5] == ["py", "-m", "vllm.entrypoints.cli.main", "serve", "org/base"]
    told = dict(pairwise(given))
    assert told["--lora-modules"] == f"small@parity-1={adapter}"
    assert (told["--dtype"], told["--max-lora-rank"], told["--max-model-len"]) == ("float32", "16", "576")
    assert (told["--revision"], told["--chat-template"]) == ("abc", "t.jinja")
    assert given[-2:] == ["--gpu-memory-utilization", "0.5"]


@pytest.mark.slow
def test_a_started_server_is_stopped_after_the_check(tmp_path, adapter):
    made = recipe(tmp_path, python=str(script(tmp_path / "stand-in", STAND_IN)))
    with served_form(made, adapter) as form:
        address = f"http://127.0.0.1:{(tmp_path / 'stand-in.port').read_text()}"
        check_server(recipe(tmp_path, url=address))
        assert form.name.startswith("small@parity-")
    with pytest.raises(ModelUnavailable):
        check_server(recipe(tmp_path, url=address))


@pytest.mark.slow
def test_a_server_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path, adapter):
    made = recipe(tmp_path, python=str(script(tmp_path / "broken", "#!/bin/sh\necho no room for it\nexit 3\n")))
    with pytest.raises(InfrastructureError, match=r"(?s)code 3 .*no room for it"), served_form(made, adapter):
        pass


@pytest.mark.slow
@pytest.mark.vllm
def test_the_training_command_registers_what_the_server_answers_alike_and_nothing_else(
    real_vllm, tmp_path, rows_file, monkeypatch
):
    """A running server answers alike; one that is started with another chat template does not."""
    import mlflow

    from tests.finetune.conftest import conversation

    monkeypatch.setenv("VLLM_API_KEY", real_vllm.key)
    things = ("lamp", "desk", "door", "roof", "wall", "lock", "pipe", "sink")
    rows = [conversation(f"Which colour has the {t}?", f"The {t} is red.") for t in things]
    held_out = [conversation(f"Name the owner of {t} {i}.", f"Owner {i}") for i, t in enumerate(things[:3])]
    given = GIVEN | {
        "base": {"path": str(real_vllm.base)},
        "output": str(tmp_path / "out"),
        "data": {
            name: [{"path": str(rows_file(chosen, f"{name}.jsonl")), "licence": "CC0-1.0"}]
            for name, chosen in (("train", rows), ("eval", held_out))
        },
        "train": {"max_length": 64, "max_steps": 2, "batch_size": 2, "gradient_checkpointing": False},
        "preflight": {"suites": [], "allow": ["leak", "near_duplicates"], "max_duplicate_share": 1.0},
        "parity": {"n_prompts": 2, "max_new_tokens": 4},
        "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db"},
    }
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(given))
    run_python("-m", "finetune.train", file, f"parity.served.url={real_vllm.url}")
    assert [m.id for m in real_vllm.client.models()] == ["toy"]

    other = tmp_path / "other.jinja"
    other.write_text((ROOT / "finetune" / "toy_template.jinja").read_text().replace("<|im_start|>", "<|im_start|> "))
    served = f"{{python: {ROOT / '.venv-vllm' / 'bin' / 'python'}, args: [--chat-template, {other}]}}"
    with pytest.raises(AssertionError, match=r"(?s)ended with 1.*not registered"):
        run_python("-m", "finetune.train", file, f"parity.served={served}")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db", f"sqlite:///{tmp_path}/mlflow.db")
    assert [int(v.version) for v in client.search_model_versions("name='small'")] == [1]
