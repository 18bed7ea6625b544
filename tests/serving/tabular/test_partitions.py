import pytest

from data.errors import InvalidInput, NotFound
from serving.tabular.partitions import partitions


def test_partitions_are_files_and_folders_and_never_written_to_one_result(tmp_path):
    for name in ("in/b.csv", "in/a.parquet", "in/notes.txt", "more/a.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = partitions([str(tmp_path / "in")])
    assert [one.name for one in found] == ["a.parquet", "b.csv"]
    with pytest.raises(InvalidInput, match=r"a\.parquet"):
        partitions([str(tmp_path / "in"), str(tmp_path / "more" / "a.csv")])
    with pytest.raises(NotFound):
        partitions([str(tmp_path / "nothing")])
