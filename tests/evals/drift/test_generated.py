from datetime import timedelta

import numpy as np
import pytest
import yaml

from data.errors import InfrastructureError
from evals.dataset import load_samples
from evals.drift.findings import Findings
from evals.drift.generated import suite_name, write_question_suite, write_row_suite
from evals.suite import load_suite
from tests.evals.drift import tabled
from tests.evals.drift.asked import MONDAY, watch, window
from tests.evals.drift.test_store import alarm, check

ALARM = alarm("alm_0123456789ab", cause="Visas are new.")


def findings(*places):
    return Findings(check(), [], drifted=np.array(places, np.int64))


def test_a_suite_of_the_drifted_questions_loads_and_is_not_reviewed(tmp_path):
    asked = window(30, 0, new=0.5, start=MONDAY + timedelta(days=30))
    path = write_question_suite(watch(collection="handbook"), ALARM, findings(3, 1, 4), asked, tmp_path)
    suite = load_suite(path)
    assert suite.name == suite_name(ALARM) == "questions-20260301-6789ab"
    assert suite.target.collection == "handbook"
    samples = load_samples(suite.dataset)
    assert [sample.question for sample in samples] == [asked.questions[place] for place in (3, 1, 4)]
    assert all(sample.metadata["reviewed"] is False and sample.metadata["alarm"] == ALARM.id for sample in samples)
    assert path.read_text().startswith(f"# assay eval run evals/suites/generated/{suite.name}.yaml\n")


def test_equal_questions_are_kept_once_and_no_more_than_wanted(tmp_path):
    asked = window(30, 0)
    same = type(asked)(**{**vars(asked), "questions": ("Is tea free?", "is  tea free?", *asked.questions[2:])})
    few = watch(alarms={"suite_size": 3})
    samples = load_samples(load_suite(write_question_suite(few, ALARM, findings(*range(9)), same, tmp_path)).dataset)
    assert [sample.question for sample in samples] == [same.questions[place] for place in (0, 2, 3)]


def test_without_words_there_is_no_suite(tmp_path):
    asked = window(5, 0)
    silent = type(asked)(**{**vars(asked), "questions": ("",) * 5})
    assert write_question_suite(watch(), ALARM, findings(0, 1), silent, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_rows_are_named_and_their_contents_stay_where_they_are(tmp_path):
    path = write_row_suite(tabled.watch(), ALARM, [np.int64(7), "x"], tmp_path)
    given = yaml.safe_load(path.read_text())
    assert given["table"] == "people"
    assert given["reviewed"] is False
    assert (path.parent / given["rows"]).read_text() == '{"id": 7}\n{"id": "x"}\n'


def test_a_folder_that_cannot_be_written_is_infrastructure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="cannot be written"):
        write_question_suite(watch(), ALARM, findings(0), window(3, 0), tmp_path / "file")
