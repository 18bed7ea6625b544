import pytest

from data.errors import InvalidInput, NotFound
from evals.dataset import load_samples
from evals.scorers.registry import Tool, Tools, build_scorers
from evals.suite import SUITES, load_suite, parse_suite, suite_digest

TOOLS = Tools(**{name: Tool(name, lambda *_: []) for name in ("embed", "entails", "toxicity", "injection")})
GIVEN = {
    "name": "mine",
    "dataset": {"path": "mine.jsonl"},
    "target": {"kind": "rag"},
    "scorers": ["token_f1", {"name": "retrieval", "k": 5}],
    "gates": [{"metric": "token_f1", "margin": 0.05}],
}


@pytest.mark.parametrize("path", sorted(SUITES.rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_suite_loads_with_its_samples_and_its_scorers(path):
    suite = load_suite(path)
    assert suite.name == path.stem
    assert suite.description
    assert load_samples(suite.dataset)
    build_scorers(suite, TOOLS)
    assert path.read_text("utf-8").startswith(f"# assay eval run {suite.name}")


def test_a_bare_name_is_a_shipped_suite_and_anything_else_a_path(tmp_path):
    assert load_suite("handbook").dataset.path.name == "questions.jsonl"
    with pytest.raises(NotFound, match=r"handbook.*retrieval"):
        load_suite("hndbook")
    with pytest.raises(NotFound):
        load_suite(tmp_path / "handbook")


def test_the_data_set_lies_beside_the_suite(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "{name: mine, dataset: {path: a/b.jsonl}, target: {kind: rag}, scorers: [usage]}"
    )
    assert load_suite(tmp_path / "mine.yaml").dataset.path == (tmp_path / "a" / "b.jsonl").resolve()


def test_all_errors_are_told_at_once_with_the_edit_that_mends_them():
    wrong = GIVEN | {
        "dataset": {"pth": "x"},
        "target": {"kind": "rag", "k": "many"},
        "repeats": 0,
        "gates": [{"metric": "token_f1", "margin": float("nan")}],
    }
    with pytest.raises(InvalidInput) as told:
        parse_suite(wrong)
    for part in (
        "5 errors",
        "dataset.path: is missing",
        "dataset.pth: there is no such field",
        "target.k: 'many'",
        "repeats",
    ):
        assert part in str(told.value)
    assert "gates.0.margin: nan" in str(told.value)


@pytest.mark.parametrize("given", [None, [], "text"])
def test_a_suite_that_is_no_mapping_is_refused(given):
    with pytest.raises(InvalidInput, match="must be a mapping"):
        parse_suite(given)


def test_an_unknown_target_is_told_the_kinds_there_are():
    with pytest.raises(InvalidInput, match="one of rag, search, url, model, prompt"):
        parse_suite(GIVEN | {"target": {"kind": "oracle"}})


def test_a_scorer_is_a_name_or_a_name_with_options():
    suite = parse_suite(GIVEN)
    assert [(s.name, s.options) for s in suite.scorers] == [("token_f1", {}), ("retrieval", {"k": 5})]


def test_what_decides_scores_is_in_the_digest_and_what_does_not_is_not():
    suite = parse_suite(GIVEN)
    same = GIVEN | {"description": "x", "gates": [], "concurrency": 7, "dataset": {"path": "elsewhere.jsonl"}}
    other = GIVEN | {"target": {"kind": "rag", "k": 3}}
    assert suite_digest(parse_suite(same)) == suite_digest(suite)
    assert suite_digest(parse_suite(other)) != suite_digest(suite)


def test_planted_documents_lie_beside_the_suite_and_never_among_the_users_own(tmp_path):
    target = "{kind: rag, corpus: sample, plant: twins.jsonl}"
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\ndataset: {{path: x.jsonl}}\ntarget: {target}\nscorers: [injection]\n")
    assert load_suite(path).target.plant == tmp_path / "twins.jsonl"
    path.write_text(path.read_text().replace("corpus: sample, ", ""))
    with pytest.raises(InvalidInput, match="never among your own"):
        load_suite(path)


def test_where_planted_documents_lie_does_not_make_another_suite(tmp_path):
    given = {"name": "a", "dataset": {"path": "x"}, "scorers": ["injection"]}
    digests = {
        suite_digest(
            parse_suite({**given, "target": {"kind": "rag", "corpus": "sample", "plant": f"{folder}/twins.jsonl"}})
        )
        for folder in ("here", "there")
    }
    assert len(digests) == 1
