"""accelerate launch -m finetune.train RECIPE.yaml [key=value ...]

Look at the data, train, compare every form of the adapter, write the card, register. Exit codes: 0 good, 1 parity failed (the
adapter is kept, not registered), 2 wrong use or blocking findings, 4 infrastructure.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from data.errors import AssayError, UsageError
from finetune.kinds import kind_of
from finetune.launch import Place, check_world_size, described_environment, find_place
from finetune.recipe import AnyRecipe, load_recipe


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
    """One recipe from rows to registry."""
    raise NotImplementedError((kind_of, described_environment))


if __name__ == "__main__":
    sys.exit(main())
