from pathlib import Path

from serving.local.graph_cache import cached_graph


class Builder:
    def __init__(self) -> None:
        self.n_builds = 0

    def __call__(self) -> bytes:
        self.n_builds += 1
        return b"graph" * 1000


def test_a_graph_is_built_once_and_found_again(tmp_path: Path) -> None:
    build = Builder()
    first = cached_graph(tmp_path / "new" / "g.onnx", build)
    second = cached_graph(tmp_path / "new" / "g.onnx", build)
    assert first == second
    assert first.read_bytes() == b"graph" * 1000
    assert build.n_builds == 1


def test_a_torn_graph_is_built_again(tmp_path: Path) -> None:
    build = Builder()
    path = cached_graph(tmp_path / "g.onnx", build)
    path.write_bytes(path.read_bytes()[:-1])
    assert cached_graph(path, build).read_bytes() == b"graph" * 1000
    assert build.n_builds == 2


def test_an_altered_graph_of_the_same_size_is_built_again(tmp_path: Path) -> None:
    build = Builder()
    path = cached_graph(tmp_path / "g.onnx", build)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    assert cached_graph(path, build).read_bytes() == b"graph" * 1000


def test_a_graph_without_its_digest_is_built_again(tmp_path: Path) -> None:
    build = Builder()
    path = cached_graph(tmp_path / "g.onnx", build)
    (tmp_path / "g.onnx.sha256").unlink()
    cached_graph(path, build)
    assert build.n_builds == 2


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    cached_graph(tmp_path / "g.onnx", Builder())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.onnx", "g.onnx.sha256"]
