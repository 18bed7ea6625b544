"""assay ask 'How long is parental leave?'"""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from app.commands.console import AsJson, Groups, Tenant, opened, principal, print_json
from data.records import EventType, Support

app = typer.Typer()


@app.command(epilog="Example: assay ask 'How long is parental leave?' --collection handbook")
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="Only this collection.")] = None,
    k: Annotated[int, typer.Option(min=1, max=100, help="How many chunks the answer may rest on.")] = 8,
    strict: Annotated[bool, typer.Option("--strict", help="Withhold sentences that nothing supports.")] = False,
    conversation: Annotated[str | None, typer.Option(help="Any name: questions with the same name follow up.")] = None,
    groups: Groups = "",
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Ask a question and see the sentences that answer it, each with its source."""
    console = Console(highlight=False, soft_wrap=True)
    answer = None
    with opened() as assay:
        asked = assay.ask(
            question,
            principal=principal(tenant, groups),
            collection=collection,
            k=k,
            strict=strict,
            conversation_id=conversation,
        )
        for event in asked:
            if event.type is EventType.FINAL:
                answer = event.answer
            elif event.type is EventType.MESSAGE and not as_json:
                mark = (
                    "" if event.sentence.support is Support.SUPPORTED else " [yellow](nothing cited supports this)[/]"
                )
                console.print(f"{escape(event.sentence.text)}{mark}")
                for c in event.sentence.citations:
                    console.print(f"  [dim]{escape(c.title)}, {c.document_id} {c.start}-{c.end}[/]")
    if as_json:
        print_json(answer)
        return
    if answer.abstained:
        console.print(f"I don't know. {escape(answer.abstain_reason)}")
    if answer.fallback_from:
        console.print(f"[yellow]{escape(answer.fallback_from)} did not answer; these are quotes from the documents.[/]")
    console.print(f"[dim]Receipt {answer.receipt_id}: check it with assay replay {answer.receipt_id}[/]")
