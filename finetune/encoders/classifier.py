"""Kind `classifier`: a label for a text (toxic or not, giving orders or not). A linear head over the text."""

from finetune.encoder_recipes import ClassifierRecipe
from finetune.encoders.adapted_encoder import load_tokenizer
from finetune.encoders.built_rows import BuiltRow
from finetune.encoders.forms import check_head
from finetune.encoders.label_rows import labelled_rows
from finetune.encoders.labelled import item_of, prepared_labels, train_labels
from finetune.examples import Prepared
from finetune.kinds import Log, Trained
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.rows import need_rows


def prepare(recipe: ClassifierRecipe) -> Prepared:
    """Read, part and plant the rows; tokenise them."""
    parted = labelled_rows(recipe)
    need_rows(len(parted.train), parted.dropped, "train")
    return prepared_labels(recipe, parted, load_tokenizer(recipe.base), _texts)


def train(recipe: ClassifierRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train, save, and measure what was saved, source by source, at the recipe's threshold."""
    config = {"kind": "classifier", "reads": ["text"]}
    return train_labels(recipe, prepared, place, log, config, threshold=recipe.threshold)


def check_parity(recipe: ClassifierRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare the forms on held-out texts."""
    return check_head(recipe, trained.folder, [item_of(e) for e in prepared.eval or prepared.train])


def _texts(row: BuiltRow) -> tuple[str, str | None]:
    return row.fields["text"], None
