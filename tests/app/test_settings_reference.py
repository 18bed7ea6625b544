import pytest

from app.settings import ROOT, variables
from app.settings_reference import docstrings, reference


def test_the_committed_page_is_current():
    assert (ROOT / "docs" / "settings.md").read_text() == reference(), (
        "run: python -m app.settings_reference > docs/settings.md"
    )


@pytest.mark.slow
def test_every_field_of_every_group_is_explained():
    for name, model, field in variables():
        assert len(docstrings(model).get(field, "")) > 5, f"{name} has no docstring"


def test_every_variable_is_on_the_page_once():
    page = reference()
    for name, _, _ in variables():
        assert page.count(f"| `{name}` |") == 1
