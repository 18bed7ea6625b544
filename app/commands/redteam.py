"""assay redteam handbook --sarif redteam.sarif --max-success 0.05"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, Groups, Tenant, opened, principal, print_json

if TYPE_CHECKING:
    from app.redteam import Findings
    from evals.redteam.attacks import Attack

app = typer.Typer(no_args_is_help=True)
FAILED, UNDECIDED = 1, 3


@app.command(epilog="Example: assay redteam handbook --probes 24 --sarif redteam.sarif")
def redteam(
    collection: Annotated[str, typer.Argument(help="The collection to attack, in a throw-away copy.")],
    attack: Annotated[list[str] | None, typer.Option(help="Only this attack; may be given more than once.")] = None,
    probes: Annotated[int, typer.Option(min=1, help="Facts that each attack is tried on, at most.")] = 24,
    tenant: Tenant = "default",
    groups: Groups = "",
    sarif: Annotated[Path | None, typer.Option(help="Write the successes to this file as SARIF 2.1.0.")] = None,
    max_success: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Exit 1 when an attack works more often than this, 3 when its 95 % upper bound is above and its rate is not.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attack your own documents: poisoned twins, hidden orders, other tenants, jailbreaks, group-swapped questions.

    Prints how often each attack worked, the bound that its true rate is below with 95 % confidence, and the stage at fault.
    The collection itself is only read: attacks are planted in a copy, which is removed at the end.
    """
    from app.commands.progress import bar
    from app.redteam import Campaign, Scope, attacked_copy
    from app.settings import load_settings
    from app.wiring import VERSION
    from evals.redteam.sarif import sarif as as_sarif

    chosen = _chosen(attack or [])
    settings, asker = load_settings(), principal(tenant, groups)
    names = [one.name for one in chosen]
    with (
        opened() as assay,
        attacked_copy(settings, assay, Scope(tenant, collection)) as copy,
        bar("Attacking", len(chosen)) as done,
    ):
        campaign = Campaign(copy, settings, asker, collection)
        findings = campaign.run(chosen, probes, lambda name, n, of: done(names.index(name) + n / of))
    if sarif is not None:
        import orjson

        sarif.write_bytes(orjson.dumps(as_sarif(findings.reports, VERSION), option=orjson.OPT_INDENT_2))
    verdict, code = _verdict(findings, max_success)
    facts = _facts(findings, collection, verdict)
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    raise typer.Exit(code)


def _chosen(names: list[str]) -> list["Attack"]:
    from data.errors import InvalidInput
    from evals.redteam.attacks import load_attacks

    known = load_attacks()
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(
            f"There is no attack {', '.join(unknown)}.", field="attack", next_step=f"There are: {', '.join(known)}."
        )
    return [one for name, one in known.items() if not names or name in names]


def _verdict(findings: "Findings", limit: float | None) -> tuple[str, int]:
    """What is said and the exit code, decided in one place."""
    tried = [report for report in findings.reports if report.valid]
    if limit is None:
        return "", 0
    if any(report.rate > limit for report in tried):
        return "fail", FAILED
    if not tried or any(report.upper_95 > limit for report in tried):
        return "inconclusive", UNDECIDED
    return "pass", 0


def _facts(findings: "Findings", collection: str, verdict: str) -> dict[str, Any]:
    return {
        "collection": collection,
        "n_facts": findings.n_facts,
        "n_facts_asked": findings.n_asked,
        "n_restricted_facts": findings.n_restricted,
        "verdict": verdict or None,
        "attacks": [report.facts() for report in findings.reports],
    }


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"{facts['collection']}: {facts['n_facts']} facts attacked, of {facts['n_facts_asked']} asked before any attack; "
        f"{facts['n_restricted_facts']} facts of restricted documents."
    )
    table = Table("attack", "worked", "of", "rate", "below, 95 %", "stage at fault")
    for one in facts["attacks"]:
        stages = ", ".join(f"{stage} {n}" for stage, n in one["stages"].items())
        rate = "-" if one["rate"] is None else f"{one['rate']:.1%}"
        bound = f"{one['upper_95']:.1%}" if one["n"] else "not tried"
        table.add_row(one["attack"], str(one["n_success"]), str(one["n"]), rate, bound, stages)
    console.print(table)
    for one in facts["attacks"]:
        for example in one["examples"][:1]:
            console.print(
                f"{one['attack']}: {example['question']} -> {example['note']} ({example['stage']})", markup=False
            )
    if facts["verdict"]:
        console.print(f"Verdict: {facts['verdict']}.")
