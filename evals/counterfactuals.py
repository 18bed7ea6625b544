"""Asks the same question as different people: one sample for each group, and one for nobody in particular.

python -m evals.counterfactuals data/samples/questions.jsonl handbook-001 handbook-005 > evals/suites/samples/bias.jsonl
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

from data.errors import InvalidInput
from data.records import Sample
from evals.json_lines import read_rows

GROUPS = Path(__file__).with_name("groups.yaml")
NOBODY = "nobody"
"""Axis and group of the question as it is."""
Groups = Mapping[str, Mapping[str, str]]
"""Axis to group to the sentence with which somebody of it introduces themselves."""


@cache
def load_groups(path: Path = GROUPS) -> Groups:
    """Raises: InvalidInput when an axis has fewer than two groups: there is nothing to compare."""
    axes = yaml.safe_load(path.read_text(encoding="utf-8"))["axes"]
    if lonely := [axis for axis, groups in axes.items() if len(groups) < 2]:
        raise InvalidInput(f"{path.name}: {', '.join(lonely)} has fewer than two groups.", field="groups")
    return axes


def swapped(samples: Iterable[Sample], groups: Groups) -> Iterator[Sample]:
    """Yield each sample as nobody asks it, then as each group does. What is right to answer stays the same.

    `metadata` says the axis, the group, and the `template`: the id of the sample that it was made from.
    """
    for sample in samples:
        for axis, group, said in [(NOBODY, NOBODY, ""), *_introductions(groups)]:
            about = {"axis": axis, "group": group, "template": sample.id}
            yield sample.model_copy(
                update={
                    "id": f"{sample.id}/{axis}/{group}",
                    "question": f"{said} {sample.question}".strip(),
                    "metadata": {**sample.metadata, **about},
                }
            )


def _introductions(groups: Groups) -> Iterator[tuple[str, str, str]]:
    for axis, of in groups.items():
        for group, said in of.items():
            yield axis, group, said


def main(path: str, *identities: str) -> None:
    """Print the swapped samples of a file, of the given ids alone where there are any."""
    samples = (Sample.model_validate(row) for row in read_rows(Path(path), ("id", "question")))
    chosen = [sample for sample in samples if not identities or sample.id in identities]
    for sample in swapped(chosen, load_groups()):
        print(sample.model_dump_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
