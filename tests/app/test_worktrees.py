import pytest
import yaml

from app.worktrees import _run, _written, rows_of_revision
from data.errors import InfrastructureError, InvalidInput
from evals.suite import load_suite, parse_suite


class Ready:
    """As much of an evaluation as a worktree needs."""

    def __init__(self, suite) -> None:
        self.suite = suite


@pytest.mark.parametrize("name", ["handbook", "retrieval"])
def test_the_other_revision_is_given_the_suite_and_the_samples_as_they_are_here(name):
    suite = load_suite(name)
    read = parse_suite(yaml.safe_load(_written(Ready(suite))))
    same = {"description", "gates", "rules"}
    assert read.model_dump(exclude=same) == suite.model_dump(exclude=same)
    assert read.dataset.path.is_absolute()


def test_a_revision_that_does_not_exist_is_wrong_use():
    with pytest.raises(InvalidInput, match="git rev-parse failed"):
        rows_of_revision("no-such-revision", Ready(load_suite("retrieval")))


def test_a_revision_that_does_not_run_is_infrastructure_and_says_what_it_said(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("raise SystemExit('there is no eval here')")
    with pytest.raises(InfrastructureError, match=r"ended with 1 and no JSON: there is no eval here"):
        _run(tmp_path, "eval", "run", "x")
