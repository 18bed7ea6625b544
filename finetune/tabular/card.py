"""The model card, README.md of a model's folder: Hugging Face header, use, figures with intervals, data, training, findings, limits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from data.tabular.model import Measured, TabularModel
from data.tabular.table_spec import ClaimsSource
from finetune.tabular.train import Candidate, Trained

UNSAID = "Not stated. Set card.{} in the config before anyone decides with this model."
SHOWN = ("roc_auc", "pr_auc", "precision", "recall", "f1", "accuracy", "brier", "calibration_error", "cost")


def card_text(trained: Trained, version: str, more: Mapping[str, str] = {}, pictures: Sequence[str] = ()) -> str:
    """The whole card; `more` are sections that others wrote (fairness, explanation), in Markdown by title; `pictures` are files beside it."""
    model, config = trained.model, trained.rows.config
    sections = {
        "Intended use": config.card.intended_use or UNSAID.format("intended_use"),
        "Results": "\n".join(_results(trained)),
        "Candidates": "\n".join(_candidates(trained)),
        **more,
        "Decision": "\n".join(_decision(model)),
        "Data": "\n".join(_data(trained)),
        "Training": "\n".join(_training(trained)),
        "Findings": "\n".join(f"- {one}" for one in trained.findings) or "None.",
        "Limits": "\n".join(_limits(trained)),
    }
    if pictures:
        sections["Pictures"] = "\n".join(f"![{name.removesuffix('.png')}]({name})" for name in pictures)
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    header = yaml.safe_dump(_header(trained), sort_keys=False, allow_unicode=True)
    described = config.description or model.spec.description or "A tabular classifier."
    return f"---\n{header}---\n\n# {model.name} {version}\n\n{described}\n\n{body}\n"


def _header(trained: Trained) -> dict[str, Any]:
    model = trained.model
    results = [
        {"type": name, "name": name, "value": round(one.value, 4)}
        for name, one in model.baseline.items()
        if one.value == one.value
    ]
    task = {"type": "tabular-classification"}
    heldout = {"type": model.spec.name, "name": f"held-out rows of {model.spec.name}"}
    entry = {"task": task, "dataset": heldout, "metrics": results}
    return {
        "library_name": "assay",
        "license": trained.rows.config.card.licence,
        "pipeline_tag": "tabular-classification",
        "tags": ["tabular", model.kind, "assay"],
        "model-index": [{"name": model.name, "results": [entry]}],
    }


def _results(trained: Trained) -> Iterator[str]:
    rows, positives = trained.model.provenance["rows"]["held_out"], trained.model.provenance["positives"]["held_out"]
    yield f"{rows} held-out rows, {positives} of them positive, scored once. 95 % bootstrap intervals."
    yield ""
    yield "| metric | value | from | to |"
    yield "|---|---|---|---|"
    for name, one in _ordered(trained.model.baseline).items():
        yield f"| {name} | {_shown(one.value)} | {_shown(one.low)} | {_shown(one.high)} |"


def _candidates(trained: Trained) -> Iterator[str]:
    yield f"In the folds; the best {trained.rows.config.target_metric} is kept unless another was asked to be fair."
    yield ""
    yield "| model | pr_auc | roc_auc | log_loss | brier | search | kept |"
    yield "|---|---|---|---|---|---|---|"
    for one in trained.candidates:
        values = " | ".join(f"{one.values[name]:.4f}" for name in ("pr_auc", "roc_auc", "log_loss", "brier"))
        kept = "yes" if one is trained.candidate else ""
        yield f"| {one.config.kind} | {values} | {_searched(one)} | {kept} |"


def _searched(candidate: Candidate) -> str:
    return f"{len(candidate.search.trials)} trials" if candidate.search else "none"


def _decision(model: TabularModel) -> Iterator[str]:
    yield f"- Positive means `{model.spec.target} = {model.spec.positive}`, from a score of {model.threshold:.4f} on."
    costs = model.costs
    yield f"- A false alarm costs {costs.false_positive:g}, a miss {costs.false_negative:g}."
    yield f"- Scores are probabilities; calibration: {model.calibration.kind}, fitted on rows that the scoring models had not seen."


def _data(trained: Trained) -> Iterator[str]:
    model, split = trained.model, trained.rows.config.split
    facts = model.provenance
    yield f"- Table `{model.spec.name}`: {model.spec.description or 'not described'}"
    yield f"- {facts['rows']['training']} training rows ({facts['positives']['training']} positive), {facts['rows']['held_out']} held out; divided by {split.by}."
    for why, n in facts["left_out"].items():
        yield f"- {n} rows left out: {why}."
    yield f"- sha256 of the cells and the contract: `{facts['data_sha256']}`"
    yield f"- Protected: {', '.join(model.protected) or 'none named'}. Columns the model reads: {', '.join(model.features.columns)}."


def _training(trained: Trained) -> Iterator[str]:
    facts = trained.model.provenance
    yield f"- {trained.model.kind}, {facts['n_rounds'] or 'no'} rounds, parameters {facts['params']}"
    yield f"- {facts['trained_at']}, code {facts['code']}, seed {trained.rows.config.seed}"
    yield "- " + ", ".join(f"{name} {found}" for name, found in facts["versions"].items())
    yield "- Config:"
    yield ""
    yield "```yaml"
    yield yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True).rstrip()
    yield "```"


def _limits(trained: Trained) -> Iterator[str]:
    if trained.rows.config.card.limits:
        yield f"- {trained.rows.config.card.limits}"
    if isinstance(trained.model.spec.source, ClaimsSource):
        yield "- The rows are made by a generator: the figures say nothing about real claims."
    if trained.rows.config.split.by == "random":
        yield "- Held out at random: how well it will do on later rows is not measured."
    yield "- Rows that break the contract are refused, not scored."


def _ordered(baseline: Mapping[str, Measured]) -> dict[str, Measured]:
    first = [name for name in SHOWN if name in baseline]
    return {name: baseline[name] for name in [*first, *(name for name in baseline if name not in first)]}


def _shown(value: float) -> str:
    return f"{value:.4f}" if value == value else "undefined"
