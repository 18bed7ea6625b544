from app.bench.gpu_report import HOW, Measured, TestsRun, plan, write
from app.settings import ROOT


def test_the_page_tells_tests_figures_and_failures(tmp_path):
    page = tmp_path / "gpu.md"
    measured = {
        "LoRA": Measured({"tokens a second": {"packed": 123_456, "unpacked": 9}, "peak memory, MiB": {"packed": 800}}),
        "embedding": Measured({}, "CUDA out of memory"),
    }
    tests = TestsRun(False, "==== 1 failed, 3 passed, 1 skipped in 9s ====", ("SKIPPED [1] vLLM is not here",))
    write(page, "2026-01-01, one device", tests, measured)
    text = page.read_text()
    assert "Measured 2026-01-01, one device." in text
    assert "Tests: **failed**. `1 failed, 3 passed, 1 skipped in 9s`" in text
    assert "- SKIPPED [1] vLLM is not here" in text
    assert "| tokens a second: packed | 123,456 |" in text
    assert "**Not measured**, it failed:\n\n```\nCUDA out of memory\n```" in text
    assert "Nothing was measured" not in text


def test_the_page_in_the_repository_is_the_plan_or_measured():
    text = (ROOT / "docs" / "gpu-results.md").read_text()
    assert text == plan() or ("\nMeasured 20" in text and all(f"## {part}" in text for part in HOW))
