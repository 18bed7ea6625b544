"""python -m finetune.toy_tasks FOLDER: rows for demonstrations and tests, made from small tables (`samples/tables.yaml`).

Two tasks ask the same of the same tickets and want different answers, so each adapter knows one of them and not the other.
"""

import argparse
import itertools
import json
import random
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TABLES = Path(__file__).parent / "samples" / "tables.yaml"
TASKS = ("team", "urgency")
UNSURE = "I cannot say."


def ticket_rows(task: str, n_train: int = 400, n_heldout: int = 60, seed: int = 17) -> tuple[list[dict], list[dict]]:
    """Training and held-out conversations of one task. Held-out tickets are combinations that training has not seen.

    Both tasks get the same tickets in the same order.
    """
    tickets = list(itertools.product(tables()["things"], tables()["troubles"], tables()["places"]))
    random.Random(seed).shuffle(tickets)
    rows = [_ticket(task, *ticket) for ticket in tickets[: n_train + n_heldout]]
    return rows[:n_train], rows[n_train:]


def preference_rows(n: int = 160, seed: int = 17) -> list[dict]:
    """Pairs of the team task: the plain answer is chosen, the one that will not commit rejected."""
    rows, _ = ticket_rows("team", n, 0, seed)
    return [
        {
            "prompt": row["messages"][:1],
            "chosen": row["messages"][1:],
            "rejected": [{"role": "assistant", "content": UNSURE}],
        }
        for row in rows
    ]


def catalogue(seed: int = 17) -> tuple[list[dict], list[dict]]:
    """Chunks about machines that do not exist, and questions about them; one in ten is answered by none."""
    chance = random.Random(seed)
    chunks, questions = [], []
    for i, (kind, letter) in enumerate(itertools.product(tables()["machines"], "ABDEFGHK")):
        name = f"{letter}-{chance.randrange(100, 999)} {kind}"
        weight, hours, year = chance.randrange(4, 90), chance.choice([6, 12, 24, 36]), chance.randrange(2011, 2025)
        text = f"The {name} weighs {weight} kg. It is serviced every {hours} months. It has been sold since {year}."
        chunks.append({"id": f"machine-{i}", "title": f"Catalogue > {name}", "text": text})
        questions.append(_question(f"How much does the {name} weigh?", f"The {name} weighs {weight} kg.", i))
        questions.append(
            _question(f"How often is the {name} serviced?", f"The {name} is serviced every {hours} months.", i)
        )
        if i % 5 == 0:
            questions.append({"question": f"Which colour has the {name}?", "answer": "", "chunks": []})
    return chunks, questions


def write_samples(folder: Path) -> list[Path]:
    """The files that the recipes in the checkout name."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks, questions = catalogue()
    files: dict[str, Iterable[dict[str, Any]]] = {"preferences.jsonl": preference_rows()}
    files |= {"raft_chunks.jsonl": chunks, "raft_questions.jsonl": questions}
    for task in TASKS:
        files[f"{task}_train.jsonl"], files[f"{task}_heldout.jsonl"] = ticket_rows(task)
    for name, rows in files.items():
        (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return [folder / name for name in files]


@cache
def tables() -> dict[str, Any]:
    """Things by team, troubles by urgency, places, machines."""
    return yaml.safe_load(TABLES.read_text("utf-8"))


def _ticket(task: str, thing: str, trouble: str, place: str) -> dict:
    answer = {"team": tables()["things"][thing], "urgency": tables()["troubles"][trouble]}[task]
    return {
        "messages": [
            {"role": "user", "content": f"Ticket from {place}: the {thing} {trouble}."},
            {"role": "assistant", "content": answer},
        ]
    }


def _question(question: str, answer: str, machine: int) -> dict:
    return {"question": question, "answer": answer, "chunks": [f"machine-{machine}"]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="finetune.toy_tasks", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=TABLES.parent)
    print(*write_samples(parser.parse_args().folder), sep="\n")


if __name__ == "__main__":
    main()
