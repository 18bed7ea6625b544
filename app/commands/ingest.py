"""assay ingest docs/ --collection handbook --groups engineering"""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.commands.console import AsJson, Collection, Groups, Tenant, names, opened, print_json_line

if TYPE_CHECKING:
    from retrieval.ingest import IngestEvent

app = typer.Typer()


@app.command(epilog="Example: assay ingest docs/ --collection handbook --groups engineering --sync")
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    collection: Collection = "default",
    groups: Groups = "",
    tenant: Tenant = "default",
    sync: Annotated[
        bool, typer.Option("--sync", help="Also remove documents whose source is gone from the folders.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add files and folders, or bring them up to date.

    Unchanged files are skipped, so after an interruption the same command goes on where it was. Files that cannot be
    read are reported with a reason and cost nothing else. Without --groups everyone in the tenant may read them.
    """
    from app.assay import Placement
    from data.folder import find_files

    placement = Placement(tenant, collection, names(groups))
    counts: Counter[str] = Counter()
    console = Console(stderr=True)
    try:
        with opened() as assay, _interruptions() as was_interrupted:
            found = list(find_files(paths))
            events = assay.ingest_found(found, placement)
            if sync:
                events = chain(events, assay.remove_vanished(paths, found, placement))
            with _progress(console, disable=as_json) as progress:
                task = progress.add_task("Ingesting", total=len(found))
                for event in events:
                    if was_interrupted():
                        raise KeyboardInterrupt
                    counts[event.status] += 1
                    progress.advance(task, 0 if event.status == "removed" else 1)
                    _report(event, progress.console, as_json)
            assay.settle()
    except KeyboardInterrupt:
        console.print(f"Interrupted: {_summary(counts) or 'nothing stored yet'}. Run the same command again to go on.")
        raise
    if not as_json:
        places = ", ".join(map(str, paths))
        console.print(
            f"{_summary(counts)}. Ask with: assay ask 'your question'"
            if counts
            else f"Nothing found in {escape(places)}.",
            highlight=False,
        )


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Says whether Ctrl-C was pressed: where Python is in a callback just then, its exception is printed and lost."""
    told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        told.set()
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, tell)
    try:
        yield told.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _report(event: "IngestEvent", console: Console, as_json: bool) -> None:
    if as_json:
        print_json_line(event)
    elif event.status == "refused":
        said = escape(f"{event.uri}\n        {event.message} {event.next_step}")
        console.print(f"[yellow]refused[/] ({event.reason}) {said}", highlight=False, soft_wrap=True)


def _summary(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))


class _Rate(ProgressColumn):
    def render(self, task: Task) -> str:
        return f"{task.speed:.1f} files/s" if task.speed else ""


def _progress(console: Console, *, disable: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=disable,
    )
