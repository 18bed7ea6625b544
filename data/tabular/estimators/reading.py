"""Which module reads which kind of estimator back. Imports the module, and with it the library, only when told to."""

from importlib import import_module
from typing import NamedTuple

from data.errors import InvalidInput, MissingExtra
from data.tabular.model import Estimator


class Form(NamedTuple):
    module: str
    file: str
    package: str


FORMS = {
    "logistic_regression": Form("data.tabular.estimators.linear", "estimator.json", "numpy"),
    "random_forest": Form("data.tabular.estimators.forest", "estimator.skops", "skops"),
    "xgboost": Form("data.tabular.estimators.boosted", "estimator.ubj", "xgboost-cpu"),
}


def form_of(kind: str) -> Form:
    """Raises: InvalidInput for a kind that is none."""
    if kind not in FORMS:
        raise InvalidInput(
            f"{kind!r} is no kind of estimator.", field="kind", next_step=f"There are: {', '.join(FORMS)}."
        )
    return FORMS[kind]


def read_estimator(kind: str, content: bytes) -> Estimator:
    """Raises: InvalidInput where the bytes are no estimator of this kind; MissingExtra without its library."""
    form = form_of(kind)
    try:
        module = import_module(form.module)
    except ImportError as error:
        raise MissingExtra(form.package, extra="tabular") from error
    return module.from_bytes(content)
