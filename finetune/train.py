"""accelerate launch -m finetune.train RECIPE.yaml [key=value ...]

Look at the data, train, compare every form of the adapter, write the card, register. Exit codes: 0 good, 1 parity failed (the
adapter is kept, not registered), 2 wrong use or blocking findings, 4 infrastructure.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from rich.console import Console

from data.errors import AssayError, UsageError
from finetune.card import Told, write_card
from finetune.findings import PreflightReport
from finetune.kinds import Trained, kind_of
from finetune.launch import Place, check_world_size, described_environment, find_place, silence_telemetry
from finetune.manifest import write_manifest
from finetune.parity_report import ParityReport
from finetune.parity_server import check_server, served_form
from finetune.preflight import look, shown
from finetune.recipe import AnyRecipe, load_recipe, recipe_digest

if TYPE_CHECKING:
    from finetune.tracking import TrackedRun


class BlockingFindings(UsageError):
    """Preflight found something that must be mended, or accepted by name, before training."""

    code = "blocking_findings"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(
        prog="finetune.train", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", type=Path, help="finetune/recipes/*.yaml, or your own")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="train.epochs=1 lora.r=8")
    given = parser.parse_args(arguments)
    try:
        recipe = load_recipe(given.recipe, given.overrides)
        place = find_place()
        check_world_size(place, recipe.train.world_size, arguments)
        return run(recipe, place, Console(stderr=True, quiet=not place.is_main))
    except AssayError as error:
        print(f"finetune: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 4


def run(recipe: AnyRecipe, place: Place, console: Console) -> int:
    """One recipe from rows to registry, on one of the processes that train it."""
    silence_telemetry()
    kind = kind_of(recipe)
    prepared = kind.prepare(recipe)
    report = look(recipe, prepared)
    console.print(shown(report))
    _stop_if_blocked(report)
    if place.is_main:
        check_server(recipe)
    tracked = _tracked(recipe) if place.is_main and recipe.tracking.enabled else None
    try:
        trained = kind.train(recipe, prepared, place, tracked.log if tracked else _nowhere)
        if not place.is_main:
            return 0
        with served_form(recipe, trained.folder) as remote:
            parity = kind.check_parity(recipe, prepared, trained, remote)
        told = Told(recipe, trained, report, parity, prepared.files, described_environment())
        digest = _write_folder(told)
        version = _recorded(told, digest, tracked) if tracked else ""
    except BaseException as error:
        if tracked:
            tracked.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    _say(console, trained, parity, version)
    return 0 if parity.is_passed else 1


def _stop_if_blocked(report: PreflightReport) -> None:
    if not report.is_passed:
        edits = "\n".join(f"  {finding.code}: {finding.mend}" for finding in report.blocking)
        raise BlockingFindings(f"{len(report.blocking)} findings stop the run before its first step:\n{edits}")


def _tracked(recipe: AnyRecipe) -> "TrackedRun":
    from finetune.tracking import TrackedRun

    return TrackedRun(recipe, described_environment())


def _write_folder(told: Told) -> str:
    """Everything about the run beside the adapter's weights; the manifest last. Returns the adapter's digest."""
    folder, recipe = told.trained.folder, told.recipe
    settings = recipe.model_dump(mode="json")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), "utf-8")
    (folder / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in told.trained.curve), "utf-8")
    (folder / "preflight.json").write_text(json.dumps(told.preflight.as_json(), ensure_ascii=False, indent=1), "utf-8")
    (folder / "parity.json").write_text(json.dumps(told.parity.as_json(), indent=1), "utf-8")
    write_card(folder, told)
    return write_manifest(
        folder,
        name=recipe.name,
        base={"path": recipe.base.path, "revision": recipe.base.revision, "digest": told.trained.base_digest},
        data=told.files,
        recipe={"kind": recipe.kind, "sha256": recipe_digest(recipe)},
    )


def _recorded(told: Told, digest: str, tracked: "TrackedRun") -> str:
    """Log everything; register the adapter if every form of it answers alike. Returns `name@version`, or nothing."""
    tags = {
        "adapter_digest": digest,
        "base_digest": told.trained.base_digest,
        "base": told.recipe.base.path,
        "kind": told.recipe.kind,
        "parity": "passed" if told.parity.is_passed else "failed",
    }
    tracked.log_results(told.trained.metrics, told.trained.folder, tags)
    version = tracked.register(tags) if told.parity.is_passed else ""
    tracked.finish()
    return version


def _say(console: Console, trained: Trained, parity: ParityReport, version: str) -> None:
    for name, m in trained.metrics.items():
        console.print(f"{name}: {m.value:.4f} ({m.low:.4f} to {m.high:.4f}, {m.n} rows)")
    for mismatch in parity.mismatches:
        console.print(f"[red]parity: {mismatch.check}[/], {mismatch.where}: {mismatch.detail} → {mismatch.mend}")
    console.print(f"parity: {' = '.join(parity.compared)}" if parity.is_passed else "[red]parity: failed[/]")
    console.print(f"parity: largest difference {parity.largest_difference:.2g} nats over {parity.n_tokens} tokens")
    for skipped in parity.skipped:
        console.print(f"parity: not compared: {skipped}", markup=False)
    console.print(f"adapter: {trained.folder}")
    if version:
        console.print(f"registered: models:/{version.replace('@', '/')}, alias challenger")
    elif not parity.is_passed:
        console.print("[red]not registered: its forms do not answer alike[/]")


def _nowhere(point: dict[str, float]) -> None:
    """Takes the curve where nothing records it."""


if __name__ == "__main__":
    sys.exit(main())
