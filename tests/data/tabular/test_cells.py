import numpy as np
import pandas as pd
import pytest

from data.tabular.cells import is_number, plain, text_of, texts


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (np.float64(2.0), "2"),
        (1.5, "1.5"),
        (True, "true"),
        (np.bool_(False), "false"),
        ("1.0", "1.0"),
    ],
)
def test_a_cell_has_one_text_whatever_type_held_it(cell, text):
    assert text_of(cell) == text


def test_a_column_as_text_keeps_its_holes():
    found = texts(pd.Series([1.0, None, 2.5]))
    assert found.tolist()[0] == "1"
    assert found.isna().tolist() == [False, True, False]


def test_cells_become_plain_json():
    assert plain(np.int64(3)) == 3
    assert plain(pd.Timestamp("2024-01-02")) == "2024-01-02 00:00:00"


def test_a_word_is_a_number_or_not():
    assert is_number("-1.5e3")
    assert not is_number("nan")
    assert not is_number("four")
