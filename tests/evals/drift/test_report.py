from html.parser import HTMLParser

from evals.drift.records import Cause, Cluster
from evals.drift.report import to_html
from tests.evals.drift.test_store import check, value

CAUSE = Cause(monitor="m", told="<b>Visas</b> are new.", harm=0.1, examples=("Is <script> free?",), action="Ingest.")
CLUSTER = Cluster(id=0, terms=("visa", "work"), n=4, share=0.1, similarity=0.2, examples=("Who sponsors it?",))


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def seen(page):
    parser = Seen()
    parser.feed(page)
    return parser


def test_the_page_tells_cause_gap_monitors_and_budget_and_runs_nothing_of_what_people_wrote():
    loud = check(causes=(CAUSE,), clusters=(CLUSTER,), harm=0.1, harm_unit="support rate", n_monitors=7)
    page = seen(
        to_html(loud.model_copy(update={"outcome": "alarm"}), [value(5, is_alarm=True)], {"evidently": "a.html"})
    )
    assert "script" not in page.tags
    assert "b" not in page.tags
    for told in (
        "<b>Visas</b> are new.",
        "Is <script> free?",
        "visa, work",
        "embedding.mmd",
        "7 monitors",
        "1 false alarms in 30",
    ):
        assert told in page.text
    assert page.tags.count("a") == 1


def test_a_quiet_page_has_no_causes():
    page = seen(to_html(check(), [value()]))
    assert "Quiet" in page.text
    assert "Causes" not in page.text
