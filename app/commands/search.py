"""assay search 'parental leave' --mode hybrid --k 5"""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from app.commands.console import AsJson, Groups, Tenant, opened, principal, print_json
from data.records import Filter, FilterOp, Query, SearchMode

app = typer.Typer()


@app.command(epilog="Example: assay search 'parental leave' --k 5 --filter department=people")
def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option(min=1, max=1000, help="How many chunks.")] = 5,
    mode: Annotated[SearchMode, typer.Option(help="Which searches to use.")] = SearchMode.HYBRID,
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="Only this collection.")] = None,
    equals: Annotated[
        list[str] | None, typer.Option("--filter", help="Metadata condition, field=value; repeatable.")
    ] = None,
    groups: Groups = "",
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Find chunks, with the score that each stage gave them."""
    filters = tuple(_filter(condition) for condition in equals or [])
    query = Query(
        text=text, principal=principal(tenant, groups), collection=collection, filters=filters, k=k, mode=mode
    )
    with opened() as assay:
        result = assay.search(query)
    if as_json:
        print_json(result)
        return
    console = Console(highlight=False)
    for n, hit in enumerate(result.hits, 1):
        stages = "  ".join(f"{name} #{s.rank} {s.score:.3f}" for name, s in hit.stages.items())
        console.print(f"[bold]{n}. {escape(hit.sources[0].title)}[/]  [dim]{escape(hit.chunk.id)}  {stages}[/]")
        console.print(escape(" ".join(hit.chunk.text.split())[:300]) + "\n")
    if not result.hits:
        console.print("Nothing found that you may read. List what is there with: assay documents list")
    timings = "  ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.timings_ms.items())
    console.print(f"[dim]{result.snapshot_id}  {timings}[/]")


def _filter(condition: str) -> Filter:
    field, separator, value = condition.partition("=")
    if not separator:
        raise typer.BadParameter(f"{condition!r} is not field=value.", param_hint="--filter")
    return Filter(field=field.strip(), op=FilterOp.EQUALS, value=value.strip())
