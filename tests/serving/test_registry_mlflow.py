import warnings

import pytest

from serving.registry import find
from tests.serving.adapters import make_adapter

pytestmark = pytest.mark.slow


@pytest.fixture
def registry(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("mlflow")
        from serving.registry_mlflow import MlflowRegistry
    return MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.mark.filterwarnings("ignore")
def test_versions_aliases_and_files_come_from_mlflow(registry, tmp_path):
    assert registry.adapters() == []
    client = registry._client
    client.create_registered_model("support")
    for version in ("1", "2"):
        source = make_adapter(tmp_path / f"v{version}", version.encode())
        client.create_model_version("support", source.as_uri())
    client.set_registered_model_alias("support", "challenger", "2")
    assert [(a.ref, a.aliases) for a in registry.adapters()] == [("support@1", ()), ("support@2", ("challenger",))]
    folder = registry.folder(find(registry, "support@challenger"))
    assert (folder / "adapter_model.safetensors").read_bytes() == b"2"
    registry.set_alias("support", "champion", "1")
    assert find(registry, "support@champion").version == "1"
