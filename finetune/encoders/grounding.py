"""Kind `grounding`: whether a premise supports a hypothesis. A linear head over the two texts read together."""

from data.focus import focused
from finetune.encoder_recipes import GroundingRecipe
from finetune.encoders.adapted_encoder import load_tokenizer
from finetune.encoders.built_rows import BuiltRow, parted_rows
from finetune.encoders.forms import check_head
from finetune.encoders.labelled import item_of, prepared_labels, train_labels
from finetune.encoders.squad_pairs import GROUNDING_FORMATS
from finetune.examples import Prepared
from finetune.kinds import Log, Trained
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.rows import need_rows


def prepare(recipe: GroundingRecipe) -> Prepared:
    """Read and part the rows by document; of a long premise the sentences nearest the hypothesis are read."""
    parted = parted_rows(recipe, GROUNDING_FORMATS)
    need_rows(len(parted.train), parted.dropped, "train")
    return prepared_labels(recipe, parted, load_tokenizer(recipe.base), _texts)


def train(recipe: GroundingRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train, save, and measure what was saved, source by source."""
    config = {"kind": "grounding", "reads": ["premise", "hypothesis"], "premise": "focused"}
    return train_labels(recipe, prepared, place, log, config, None)


def check_parity(recipe: GroundingRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare the forms on held-out pairs."""
    return check_head(recipe, trained.folder, [item_of(e) for e in prepared.eval or prepared.train])


def _texts(row: BuiltRow) -> tuple[str, str | None]:
    premise, hypothesis = row.fields["premise"], row.fields["hypothesis"]
    return focused(premise, hypothesis), hypothesis
