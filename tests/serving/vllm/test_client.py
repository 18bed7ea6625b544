import pytest

from data.errors import InvalidInput, ModelUnavailable, Unauthenticated
from serving.vllm.client import VLLMClient
from tests.serving.vllm.fake_vllm import FakeVLLM


@pytest.fixture
def fake():
    return FakeVLLM(key="k")


@pytest.fixture
def url(fake):
    with fake.served() as url:
        yield url


@pytest.fixture
def client_of():
    """Clients that are closed at the end."""
    opened = []

    def make(url: str, key: str = "") -> VLLMClient:
        opened.append(VLLMClient(url, key))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.mark.slow
def test_adapters_are_loaded_listed_and_unloaded(url, client_of):
    client = client_of(f"{url}/v1", "k")
    assert client.is_healthy()
    client.load_adapter("support@7", "/adapters/support@7")
    assert [(m.id, m.parent, m.root) for m in client.models()][1] == ("support@7", "tiny", "/adapters/support@7")
    client.unload_adapter("support@7")
    assert [m.id for m in client.models()] == ["tiny"]


@pytest.mark.slow
def test_a_known_name_is_an_error_and_never_loaded_in_place(fake, url, client_of):
    client = client_of(url, "k")
    client.load_adapter("support@7", "/a")
    with pytest.raises(InvalidInput, match="already been loaded"):
        client.load_adapter("support@7", "/b")
    assert fake.loaded == {"support@7": "/a"}


@pytest.mark.slow
def test_an_adapter_that_vllm_cannot_serve_says_which_kinds_it_can(fake, url, client_of):
    fake.fails = "big@1"
    with pytest.raises(InvalidInput, match=r"rank 64 is greater.*no DoRA"):
        client_of(url, "k").load_adapter("big@1", "/a")


@pytest.mark.slow
def test_a_wrong_key_and_a_server_that_is_not_there_say_what_to_set(url, client_of):
    with pytest.raises(Unauthenticated, match="ASSAY_LLM__API_KEY"):
        client_of(url, "wrong").models()
    gone = client_of("http://127.0.0.1:9")
    assert not gone.is_healthy()
    with pytest.raises(ModelUnavailable, match="assay llm up"):
        gone.models()
