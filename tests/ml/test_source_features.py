"""Features of a source's files, from feature rows to the model, its artefact and its scores."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts.features import FEATURE_NAMES, SOURCE_FEATURES
from ml import dataset, training
from ml.artefact import Passport
from ml.champion import Champion
from ml.importance import importances
from ml.matrix import source_feature_names, to_matrix
from ml.score import drift_rows, lost_inputs, score_rows

World = tuple[pa.Table, pa.Table]
LAST_DAY = date(2024, 6, 29)


def with_features(features: pa.Table, rows: list[dict[str, float | None] | None]) -> pa.Table:
    place = features.schema.get_field_index(SOURCE_FEATURES)
    field = features.schema.field(place)
    entries = [None if row is None else list(row.items()) for row in rows]
    return features.set_column(place, field, pa.array(entries, field.type))


@pytest.fixture(scope="module")
def payments(build_world: Callable[..., World]) -> World:
    """Return a world in which v1 is high for frauds, v2 has gaps and v10 begins on the last day."""
    features, labels = build_world(planted=0, seed=21)
    random = np.random.default_rng(5)
    signal = random.normal(4 * np.array(labels["is_fraud"]), 1)
    rows: list[dict[str, float | None] | None] = [
        None if gap < 0.1 else {"v2": None, "v1": value} if gap < 0.3 else {"v1": value, "v2": gap}
        for value, gap in zip(signal.tolist(), random.random(len(signal)).tolist(), strict=True)
    ]
    for place, day in enumerate(features["event_date"].to_pylist()):
        if day == LAST_DAY:
            rows[place] = {**(rows[place] or {}), "v10": 1.0}
    return with_features(features, rows), labels


@pytest.fixture(scope="module")
def trained(payments: World, as_of: datetime) -> training.Trained:
    return training.train(dataset.labelled(*payments, as_of), as_of)


@pytest.fixture(scope="module")
def champion(trained: training.Trained) -> Champion:
    """Return the champion as it is loaded from its artefact."""
    passport = Passport(
        trained.bands,
        trained.typical,
        trained.null_share,
        trained.first_date,
        distributions=trained.distributions,
        source_features=trained.source_features,
    )
    stored = json.loads(json.dumps(passport.to_dict(), sort_keys=True))
    return Champion("fraud_detector_s", 1, trained.model, Passport.from_dict(stored))


def last_day(features: pa.Table) -> pa.Table:
    return features.filter(pc.equal(features["event_date"], LAST_DAY))


def scores_of(champion: Champion, features: pa.Table) -> pa.Table:
    at = datetime(2024, 7, 1, tzinfo=UTC)
    return score_rows(champion, features, snapshot=1, run_id="s", scored_at=at)


def test_source_features_follow_the_computed_ones_sorted_by_name(payments: World) -> None:
    features = payments[0]
    names = source_feature_names(features)
    assert names == ("v1", "v10", "v2")
    matrix = to_matrix(features, names)
    assert tuple(matrix.columns) == (*FEATURE_NAMES, *names)
    first = [dict(row or ()) for row in features[SOURCE_FEATURES].to_pylist()]
    for name in names:
        expected = np.array([row.get(name, None) for row in first], dtype=float)
        assert np.array_equal(matrix[name], expected, equal_nan=True)
    assert source_feature_names(features.schema.empty_table()) == ()
    with pytest.raises(ValueError, match=SOURCE_FEATURES):
        to_matrix(features.drop_columns([SOURCE_FEATURES]), names)


def test_a_model_learns_from_the_source_features_of_its_training_rows(
    trained: training.Trained, champion: Champion
) -> None:
    assert trained.source_features == ("v1", "v2")
    assert champion.passport.inputs == tuple(trained.test_matrix.columns)
    assert champion.passport.inputs[-2:] == ("v1", "v2")
    assert champion.passport.is_current
    assert trained.test.auc > 0.85
    important = importances(trained)
    assert max(important, key=important.__getitem__) == "v1"


def test_scores_read_the_features_of_the_artefact_by_name(
    payments: World, champion: Champion, trained: training.Trained
) -> None:
    day = last_day(payments[0])
    scores = scores_of(champion, day)
    codes = {code for some in scores["reason_codes"].to_pylist() for code in some}
    sentences = [text for some in scores["reason_sentences"].to_pylist() for text in some]
    assert "V1" in codes
    assert any(text.startswith("v1 is ") and "median in training" in text for text in sentences)
    maps = [dict(row) for row in day[SOURCE_FEATURES].to_pylist()]
    turned = [{"extra": 3.0, **dict(reversed(row.items()))} for row in maps]
    assert scores_of(champion, with_features(day, turned))["score"] == scores["score"]
    # A champion is compared on features of which some are gone.
    assert len(champion.score(trained.test_features.drop(columns="v1"))) > 0


def test_a_source_feature_that_is_gone_is_a_lost_input_and_drifts(
    payments: World, champion: Champion
) -> None:
    day = last_day(payments[0])
    assert lost_inputs(champion, day) == {}
    lines = drift_rows(champion, day, source="s", run_id="r").to_pylist()
    assert {"v1", "v2", "amount"} <= {line["feature_name"] for line in lines}
    gone = with_features(day, [None] * day.num_rows)
    assert lost_inputs(champion, gone) == {"v1": day.num_rows, "v2": day.num_rows}


def test_a_model_of_an_earlier_version_reads_no_source_features(champion: Champion) -> None:
    stored = champion.passport.to_dict()
    del stored["source_features"]
    assert Passport.from_dict(stored).inputs == champion.passport.inputs[:-2]
