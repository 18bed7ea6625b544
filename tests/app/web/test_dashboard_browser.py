"""The dashboard in a real browser. Every test also asserts that nothing went wrong unseen: see `Visitor` in conftest.py."""

from collections.abc import Iterator

import pytest

from tests.app.api.conftest import served
from tests.app.web.test_browser import CONTRAST
from tests.app.web.watched import HOSTILE

pytestmark = [pytest.mark.browser, pytest.mark.slow]
RUN = "run_000000000020"
CHARTED = {
    "/runs?suite=handbook&metric=support_rate": 1,
    f"/runs/{RUN}": 1,
    f"/compare?a=run_000000000017&b={RUN}": 1,
    "/slices?by=topic": 1,
    "/gates": 1,
    "/drift": 1,
    "/coverage": 1,
    "/rollouts": 1,
    "/usage": 2,
}
PLAIN = ["", f"/runs/{RUN}/sample?id=handbook-003", "/alarms", "/alarms/alm_000000000001", "/runs/nope"]


@pytest.fixture(scope="module")
def base(watched) -> Iterator[str]:
    with served(watched) as address:
        yield address


def drawn(page, n: int) -> None:
    page.locator("figure.chart .is-drawn .main-svg").nth(0).wait_for(state="attached", timeout=30_000)
    figures = page.locator("figure.chart")
    assert figures.count() == n
    for place in range(n):
        figures.nth(place).locator(".is-drawn .main-svg").first.wait_for(state="attached", timeout=30_000)


def test_charts_are_drawn_within_the_policy_and_inside_their_frame(base, visit):
    visitor = visit(base)
    for view, n in CHARTED.items():
        visitor.page.goto(f"/dashboard{view}")
        drawn(visitor.page, n)
        frame = visitor.page.locator("figure.chart").first.bounding_box()
        svg = visitor.page.locator("figure.chart .main-svg").first.bounding_box()
        assert frame["x"] <= svg["x"], view
        assert svg["x"] + svg["width"] <= frame["x"] + frame["width"], view
        assert visitor.page.locator("figure.chart .main-svg path, figure.chart .main-svg rect").count() > 5, view
        assert visitor.problems == [], view


def test_from_what_is_wrong_to_the_sample_that_lost_most(base, visit):
    page = visit(base).page
    page.goto("/dashboard")
    page.get_by_role("link", name="support_rate is worse than it was").click()
    assert page.locator("h1").inner_text() == "handbook: two runs"
    row = page.locator("section", has_text="What changed").locator("tr", has_text="support_rate")
    assert "worse" in row.inner_text()
    page.locator("#samples tbody th a").first.click()
    assert "What was found" in page.inner_text("main")
    assert HOSTILE in page.inner_text("main"), "text of documents stays text"
    page.get_by_role("link", name="The same sample in the run before").click()
    assert "What was found" in page.inner_text("main")


def test_a_click_on_a_point_leads_to_its_run(base, visit):
    page = visit(base).page
    page.goto("/dashboard/runs?suite=handbook&metric=support_rate")
    drawn(page, 1)
    point = page.locator(".scatterlayer .point").last
    box = point.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + 2, y)
    page.wait_for_timeout(300)  # a chart looks where the pointer is a few times a second
    page.mouse.move(x, y)
    page.locator(".hoverlayer .hovertext").wait_for(timeout=10_000)
    page.wait_for_timeout(300)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url("**/dashboard/runs/run_000000000023")
    assert "run_000000000023" in page.inner_text("main")


def test_filters_work_by_keyboard_and_leave_an_address_that_can_be_shared(base, visit):
    page = visit(base).page
    page.goto("/dashboard/runs?suite=handbook")
    page.get_by_label("Metric").focus()
    page.keyboard.type("support")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**metric=support_rate**")
    assert "slice=" not in page.url
    assert "status=" not in page.url
    shared = page.url
    other = page.context.new_page()
    other.goto(shared)
    assert other.get_by_label("Metric").input_value() == "support_rate"
    page.go_back()
    page.get_by_label("Status").select_option("failed")
    assert page.get_by_label("Slice").is_enabled(), "fields that were left out are back"


def test_tables_hold_everything_without_scripts(base, visit):
    page = visit(base, java_script_enabled=False).page
    for view in CHARTED:
        page.goto(f"/dashboard{view}")
        page.locator("summary").first.click() if page.locator("summary").count() else None
        assert page.locator("tbody tr").count() > 0, view
        assert "Charts need JavaScript" in page.inner_text("main"), view


def test_a_chart_whose_figures_cannot_be_read_says_so_and_the_table_stands(base, visit):
    visitor = visit(base)
    visitor.expected.add(503)
    visitor.page.route("**/*format=json*", lambda route: route.fulfill(status=503, body="{}"))
    visitor.page.goto("/dashboard/drift")
    visitor.page.get_by_text("The figures could not be read (status 503). The table holds every figure.").wait_for()
    assert visitor.page.locator("tbody tr").count() > 0


def test_a_chart_without_its_library_says_so(base, visit):
    visitor = visit(base)
    visitor.expected.add(503)
    visitor.page.route("**/plotly.js?v=*", lambda route: route.fulfill(status=503, body=""))
    visitor.page.goto("/dashboard/drift")
    visitor.page.get_by_text("The charting library could not be loaded.").wait_for()
    assert visitor.page.locator("tbody tr").count() > 0, "the table stands"


def test_the_report_of_evidently_runs_its_scripts_and_has_no_origin(base, visit):
    page = visit(base).page
    page.goto("/dashboard/drift")
    page.get_by_role("link", name="evidently").click()
    page.get_by_text("drawn by a script").wait_for()
    assert page.evaluate("self.origin") == "null"


def test_text_can_be_read_in_light_and_dark(base, visit):
    visitor = visit(base)
    visitor.expected.add(404)
    for view in (*CHARTED, *PLAIN):
        visitor.page.goto(f"/dashboard{view}")
        for scheme in ("light", "dark"):
            visitor.page.emulate_media(color_scheme=scheme)
            told = visitor.page.evaluate(
                CONTRAST,
                "h1, h2, h3, p, a, button, td, th, dt, dd, summary, label, strong, figcaption, .badge, .range, .nothing, .bad, .good",
            )
            assert len(told) > 5
            assert [t for t in told if t[0] < 4.5] == [], (view, scheme)


def test_nothing_is_wider_than_a_phone(base, visit):
    visitor = visit(base, viewport={"width": 360, "height": 740}, has_touch=True)
    visitor.expected.add(404)
    for view in (*CHARTED, *PLAIN):
        visitor.page.goto(f"/dashboard{view}")
        if view in CHARTED:
            drawn(visitor.page, CHARTED[view])
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360, view


def test_charts_follow_a_change_of_the_colour_scheme(base, visit):
    page = visit(base, color_scheme="light").page
    page.goto("/dashboard/runs?suite=handbook&metric=support_rate")
    drawn(page, 1)
    colour = "getComputedStyle(document.querySelector('.xtick text')).fill"
    before = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)
    assert page.evaluate(colour) != before


def test_an_analyst_signs_in_to_the_dashboard_and_is_offered_nothing_else(base, watched, visit):
    _, token = watched.keys.create("ana", scopes=["analyst"])
    try:
        visitor = visit(base)
        visitor.expected |= {401, 403}
        page = visitor.page
        page.goto("/dashboard/gates")
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("API key").fill(token)
        page.get_by_role("button", name="Sign in").click()
        drawn(page, 1)
        pages = page.get_by_role("navigation", name="Pages", exact=True)
        assert pages.get_by_role("link").all_inner_texts() == ["Dashboard"]
        page.goto("/")
        page.get_by_role("main").get_by_role("link", name="Dashboard").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("API key").wait_for()
    finally:
        with watched.keys._database.append() as connection:
            connection.exec_driver_sql("delete from api_keys")
        watched.keys.refresh()
