from datetime import timedelta

import numpy as np
import pytest

from evals.drift.findings import Bounds, language_findings
from evals.drift.language import LanguageBaseline
from evals.drift.language_causes import language_causes
from tests.evals.drift.asked import MONDAY, knowledge, watch, window

LATER = MONDAY + timedelta(days=28)
WEEK = Bounds(LATER, LATER + timedelta(days=7))


@pytest.fixture(scope="module")
def baseline():
    return LanguageBaseline(watch(), window(600, 0, days=28), knowledge())


def test_a_new_topic_is_named_with_examples_its_harm_and_what_to_do(baseline):
    baseline.reset_streams()
    findings = language_findings(baseline, window(200, 2, new=0.2, start=LATER), WEEK)
    first = findings.check.causes[0]
    assert findings.check.outcome == "alarm"
    assert "visa" in first.slice
    assert first.share == pytest.approx(0.2, abs=0.06)
    assert first.harm == pytest.approx(first.share * 0.95, abs=0.03)
    assert first.action.startswith("Ingest documents about")
    assert all("visa" in example for example in first.examples)
    assert findings.check.harm == first.harm
    assert findings.check.harm_unit == "support rate"


def test_the_drifted_questions_are_those_of_the_topic(baseline):
    baseline.reset_streams()
    drifted = window(200, 2, new=0.2, start=LATER)
    findings = language_findings(baseline, drifted, WEEK)
    about = ["visa" in drifted.questions[place] for place in findings.drifted]
    assert np.mean(about) > 0.9
    assert sum(about) > 0.8 * sum("visa" in q for q in drifted.questions)


def test_lost_support_that_no_topic_explains_is_told_as_such(baseline):
    worse = window(200, 3, start=LATER)
    worse.numbers["abstained"][:80] = 1
    causes = language_causes(baseline, worse, baseline.compare(worse)).causes
    assert "of the requests are answered with support" in causes[0].told
    assert causes[0].harm > 0.3
    assert "roll back" in causes[0].action


def test_a_quiet_window_has_no_causes_and_a_map_all_the_same(baseline):
    baseline.reset_streams()
    findings = language_findings(baseline, window(150, 1, start=LATER), WEEK)
    assert findings.check.outcome == "quiet"
    assert findings.check.causes == ()
    assert {point.kind for point in findings.points} == {"query", "chunk"}


def test_the_map_marks_the_gap(baseline):
    baseline.reset_streams()
    findings = language_findings(baseline, window(200, 2, new=0.2, start=LATER), WEEK)
    gaps = [point for point in findings.points if point.is_gap]
    assert gaps
    assert all("visa" in point.label for point in gaps)
    assert {point.cluster for point in gaps} <= {cluster.id for cluster in findings.check.clusters}
