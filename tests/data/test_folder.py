import os
from pathlib import Path

import pytest

from data.errors import InvalidInput
from data.folder import FoundFile, Refusal, find_files, is_gone, safe_name


def outcomes(*paths: Path) -> dict[str, str]:
    """Name -> 'found' or the reason of the refusal."""
    return {
        Path(item.uri).name: "found" if isinstance(item, FoundFile) else item.error.reason for item in find_files(paths)
    }


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "docs"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "deep" / "er" / "b.txt").write_text("b")
    return root


def test_files_are_found_in_order_each_once_whatever_leads_to_them(folder):
    (folder / "link.txt").symlink_to(folder / "a.txt")
    found = [item.path.name for item in find_files([folder, folder / "a.txt", folder / "deep"])]
    assert found == ["a.txt", "b.txt"]


def test_the_same_file_has_the_same_uri_from_any_working_directory(folder, monkeypatch):
    absolute = next(iter(find_files([folder])))
    monkeypatch.chdir(folder / "deep")
    assert next(iter(find_files([Path("../a.txt")]))) == absolute


def test_hidden_files_and_folders_are_left_out(folder):
    (folder / ".git").mkdir()
    (folder / ".git" / "x.txt").write_text("x")
    (folder / ".hidden.txt").write_text("x")
    assert set(outcomes(folder)) == {"a.txt", "b.txt"}


def test_links_out_of_the_folder_to_folders_to_nothing_and_in_circles_are_refused(folder, tmp_path):
    (tmp_path / "secret.txt").write_text("s")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "etc").symlink_to("/etc")
    (folder / "again").symlink_to(folder / "deep")
    (folder / "nothing.txt").symlink_to(folder / "gone.txt")
    (folder / "circle").symlink_to(folder / "circle2")
    (folder / "circle2").symlink_to(folder / "circle")
    found = outcomes(folder)
    assert {n: found[n] for n in ("out.txt", "etc", "again", "nothing.txt")} == dict.fromkeys(
        ("out.txt", "etc", "again", "nothing.txt"), "symlink"
    )
    assert found["circle"] in {"unreadable", "symlink"}
    assert found["a.txt"] == found["b.txt"] == "found"
    assert all(item.error.next_step for item in find_files([folder]) if isinstance(item, Refusal))


def test_pipes_and_devices_are_refused_also_when_given_themselves(folder):
    os.mkfifo(folder / "pipe")
    assert outcomes(folder)["pipe"] == "not_a_file"
    assert outcomes(folder / "pipe") == {"pipe": "not_a_file"}
    assert outcomes(Path("/dev/zero")) == {"zero": "not_a_file"}


def test_a_path_that_does_not_exist_is_wrong_use(folder):
    for path in (folder / "nope", folder / "a.txt" / "below"):
        with pytest.raises(InvalidInput, match="does not exist"):
            list(find_files([path]))
    (folder / "circle").symlink_to(folder / "circle")
    with pytest.raises(InvalidInput):
        list(find_files([folder / "circle"]))


def test_a_folder_that_cannot_be_listed_is_reported(folder, monkeypatch):
    closed = str(folder / "deep")
    listed = os.scandir

    def scandir(path):  # permissions do not bind root, who may run the tests
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert outcomes(folder) == {"a.txt": "found", "deep": "unreadable"}


def test_a_file_that_vanishes_during_the_walk_is_reported(folder):
    (folder / "z.txt").write_text("z")
    walk = find_files([folder])
    next(walk)
    (folder / "z.txt").unlink()
    assert [item.error.reason for item in walk if isinstance(item, Refusal)] == ["not_a_file"]


def test_names_with_newlines_emoji_and_bytes_that_are_no_unicode_make_valid_uris(folder):
    odd = [b"line\nbreak.txt", "📎.txt".encode(), b"\xff\xfe.txt", b"[red] 100%.txt"]
    for name in odd:
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_text("x")
    uris = [item.uri for item in find_files([folder])]
    assert len(uris) == 6
    assert all(uri.isascii() and uri.isprintable() for uri in uris)
    assert not any(is_gone(uri) for uri in uris)


def test_a_path_longer_than_a_database_can_index_is_refused(folder):
    deep = folder
    for _ in range(4):
        deep = deep / ("é" * 120)
    deep.mkdir(parents=True)
    (deep / "c.txt").write_text("c")
    reasons = [item.error.reason for item in find_files([folder]) if isinstance(item, Refusal)]
    assert reasons == ["name"]


def test_a_source_is_gone_only_when_nothing_lies_there_any_more(folder):
    assert is_gone((folder / "gone.txt").as_uri())
    assert is_gone((folder / "a.txt" / "below").as_uri())
    assert not is_gone((folder / "a.txt").as_uri())
    assert not is_gone("file:///" + "x" * 5000), "too long a name tells nothing"


def test_an_uploaded_name_loses_its_folders_and_controls():
    assert safe_name("../../etc/passwd") == "passwd"
    assert safe_name("C:\\Users\\x\\plan.pdf") == "plan.pdf"
    assert safe_name("a\x00b\n.txt") == "ab.txt"
    for name in ("", "..", "/", "\n", "x" * 300):
        with pytest.raises(InvalidInput):
            safe_name(name)
