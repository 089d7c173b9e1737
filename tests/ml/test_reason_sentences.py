import doctest

import pytest

from contracts.columns import COLUMNS, LogicalType
from contracts.features import FEATURE_NAMES
from ml import reason_sentences
from ml.reason_sentences import sentence

ROW = {name: COLUMNS[name].type is LogicalType.BOOLEAN or 3.25 for name in FEATURE_NAMES} | {
    "currency": "USD"
}


@pytest.mark.parametrize("feature", FEATURE_NAMES)
def test_every_feature_has_a_sentence(feature: str) -> None:
    known, unknown = sentence(feature, ROW), sentence(feature, ROW | {feature: None})
    assert known.endswith(".")
    assert "{" not in known
    assert "None" not in known
    assert unknown == f"Unknown: {COLUMNS[feature].description}"
    if COLUMNS[feature].type is LogicalType.BOOLEAN:
        assert sentence(feature, ROW | {feature: False}) != known
    else:
        assert "3" in known


def test_the_examples_are_true() -> None:
    assert doctest.testmod(reason_sentences).failed == 0
