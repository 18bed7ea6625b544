import numpy as np
import pandas as pd
import pytest

from data.errors import InvalidInput
from data.tabular.features import FeatureConfig, FeatureTransformer
from data.tabular.skew import skew
from data.tabular.table import settle
from tests.data.tabular.small_table import loans_frame, loans_rows, loans_spec


@pytest.fixture(scope="module")
def fitted() -> FeatureTransformer:
    return FeatureTransformer.fit(settle(loans_frame(), loans_spec())[0], loans_spec(), FeatureConfig(min_count=2))


def test_a_server_that_uses_the_transformer_has_no_skew(fitted):
    logged = fitted.transform(settle(loans_frame(), loans_spec())[0])
    assert skew(fitted, loans_rows(), logged).n_skewed == 0


def test_the_planted_pitfall_of_a_server_that_fits_anew_is_caught(fitted):
    """The common mistake: `fit_transform` on the rows of the batch that is served."""
    batch = settle(pd.DataFrame(loans_rows()[:20]), loans_spec())[0]
    refitted = FeatureTransformer.fit(batch, loans_spec(), FeatureConfig(min_count=2))
    assert refitted.digest != fitted.digest
    found = skew(fitted, loans_rows()[:20], refitted.transform(batch))
    assert found.n_skewed == 20
    assert "amount" in found.by_feature


def test_the_planted_pitfall_of_a_server_that_fills_holes_its_own_way_is_caught(fitted):
    logged = fitted.transform(settle(loans_frame(), loans_spec())[0])
    income, is_missing = (fitted.feature_names.index(name) for name in ("income", "income:missing"))
    logged[logged[:, is_missing] == 1, income] = 0.0
    found = skew(fitted, loans_rows(), logged)
    assert found.n_skewed == sum(row["income"] is None for row in loans_rows())
    assert found.by_feature == {"income": found.n_skewed}
    assert found.examples[0].row == 3


def test_not_even_a_rounding_passes(fitted):
    logged = fitted.transform(settle(loans_frame(), loans_spec())[0])
    logged[5, 2] = np.nextafter(logged[5, 2], np.float32(np.inf))
    assert skew(fitted, loans_rows(), logged).n_skewed == 1


def test_features_of_another_shape_are_refused(fitted):
    with pytest.raises(InvalidInput, match="compare the digests"):
        skew(fitted, loans_rows(), np.zeros((60, 3), dtype=np.float32))
