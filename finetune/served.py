"""Parity of an adapter on a server, after training: its folder remembers the recipe. Knows no server: `app` passes one in."""

from pathlib import Path

from data.errors import NotFound
from finetune.kinds import Trained, kind_of
from finetune.parity_report import ParityReport, Remote
from finetune.recipe import load_recipe


def check_served(folder: Path, remote: Remote) -> ParityReport:
    """Compare base with adapter, merged, and `remote` on the held-out rows.

    Needs the files that the recipe names. Raises: NotFound for a folder that finetune.train did not write.
    """
    settings = folder / "recipe.yaml"
    if not settings.exists():
        raise NotFound(
            f"{folder} has no recipe.yaml.", next_step="Name the folder of an adapter that finetune.train wrote."
        )
    recipe = load_recipe(settings)
    kind = kind_of(recipe)
    return kind.check_parity(recipe, kind.prepare(recipe), Trained(folder, {}), remote)
