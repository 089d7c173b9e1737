"""Features that are null: for a source that lacks the columns, for a first payment, by mistake."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from contracts.features import FEATURE_NAMES, LOOKBACK_DAYS
from ml import candidates, dataset, training
from ml.artefact import Passport
from ml.champion import Champion
from ml.matrix import to_matrix
from ml.score import lost_inputs, score_rows

World = tuple[pa.Table, pa.Table]
LACKING = ("home_distance_km", "is_new_category", "merchant_fraud_share_7d")


@pytest.fixture(scope="module")
def gappy(build_world: Callable[..., World]) -> World:
    """A source that lacks three features, and has three tenths of one of the others."""
    features, labels = build_world(source="handbook", lacking=LACKING, seed=11)
    has = pa.array(np.random.default_rng(3).random(features.num_rows) < 0.3)
    column = features["customer_amount_mean_7d"]
    some = pa.compute.if_else(has, column, pa.scalar(None, column.type))
    place = features.schema.get_field_index("customer_amount_mean_7d")
    return features.set_column(place, features.schema.field(place), some), labels


@pytest.fixture(scope="module")
def trained(gappy: World, as_of: datetime) -> training.Trained:
    return training.train(dataset.labelled(*gappy, as_of), as_of)


def champion_of(trained: training.Trained) -> Champion:
    passport = Passport(trained.bands, trained.typical, trained.null_share, trained.first_date)
    return Champion("fraud_detector_handbook", 1, trained.model, passport)


def test_a_feature_that_no_training_row_has_is_left_out(trained: training.Trained) -> None:
    passport = champion_of(trained).passport
    assert set(passport.unused) == set(LACKING)
    assert passport.inputs == tuple(n for n in FEATURE_NAMES if n not in LACKING)
    assert tuple(trained.test_matrix.columns) == passport.inputs
    assert trained.null_share["customer_amount_mean_7d"] == pytest.approx(0.7, abs=0.02)
    assert trained.null_share["amount"] == pytest.approx(1 / (trained.rows_train + 2))
    assert set(trained.typical) == set(passport.inputs)
    assert np.isfinite(list(trained.typical.values())).all()
    assert trained.test.auc > 0.85


@pytest.mark.parametrize("name", [*candidates.SUPERVISED, training.ANOMALY])
def test_every_candidate_scores_rows_with_any_gap(name: str, world: World, as_of: datetime) -> None:
    """Each feature is missing where training had it all, and some where it had not."""
    data = dataset.labelled(*world, as_of)
    train = np.arange(len(data.rows)) < 3000
    holed = data.matrix[~train].head(len(FEATURE_NAMES)).reset_index(drop=True)
    for row, feature in enumerate(FEATURE_NAMES):
        holed.loc[row, feature] = np.nan
    holed.loc[len(holed)] = np.nan
    known = data.matrix[train]
    with_holes = dataset.Dataset(
        pd.concat([data.rows[train], data.rows.head(len(holed))], ignore_index=True),
        pd.concat([known, holed], ignore_index=True),
        0,
    )
    first = np.arange(len(with_holes.rows)) < len(known)
    _, _, score = training.fit_and_score(name, with_holes, first, ~first)
    assert len(score) == len(holed)
    assert np.isfinite(score).all()
    assert 0 <= score.min() <= score.max() <= 1


@pytest.mark.parametrize("name", [*candidates.SUPERVISED, training.ANOMALY])
def test_what_fills_a_gap_is_learnt_from_training_rows(
    name: str, gappy: World, as_of: datetime
) -> None:
    data = dataset.labelled(*gappy, as_of)
    train = np.arange(len(data.rows)) < 3000
    wanted = ~train
    _, _, score = training.fit_and_score(name, data, train, wanted)
    matrix = data.matrix.copy()
    later = np.flatnonzero(wanted)[1:]
    matrix.iloc[later] = matrix.iloc[later] * 7 + 1
    other = replace(data, matrix=matrix)
    _, _, again = training.fit_and_score(name, other, train, wanted)
    assert again[0] == score[0]


def test_a_gap_is_an_input_of_the_logistic_regression(gappy: World, as_of: datetime) -> None:
    data = dataset.labelled(*gappy, as_of)
    train = np.ones(len(data.rows), dtype=bool)
    model, _, _ = training.fit_and_score("logistic_regression", data, train, train)
    names = model.named_steps["impute"].get_feature_names_out()
    assert "missingindicator_customer_amount_mean_7d" in names


def test_scores_of_a_source_without_these_features(trained: training.Trained, gappy: World) -> None:
    day = gappy[0].filter(pa.compute.equal(gappy[0]["event_date"], date(2024, 6, 29)))
    scores = score_rows(
        champion_of(trained),
        day,
        snapshot=1,
        run_id="s",
        scored_at=datetime(2024, 7, 1, tzinfo=UTC),
    )
    names = {code.lower() for some in scores["reason_codes"].to_pylist() for code in some}
    assert scores.num_rows == day.num_rows
    assert not names & set(LACKING)
    assert lost_inputs(champion_of(trained), day) == {}


def without(features: pa.Table, name: str) -> pa.Table:
    place = features.schema.get_field_index(name)
    field = features.schema.field(place)
    return features.set_column(place, field, pa.nulls(features.num_rows, field.type))


def test_an_input_that_is_lost_is_named(trained: training.Trained, gappy: World) -> None:
    champion = champion_of(trained)
    days = gappy[0]["event_date"]
    last = gappy[0].filter(pa.compute.equal(days, date(2024, 6, 29)))
    assert last.num_rows > 100
    for name in ("hour_of_day", "amount_to_mean_ratio", "customer_amount_mean_7d"):
        assert lost_inputs(champion, without(last, name)) == {name: last.num_rows}
    # Seven in ten rows of training lacked it: ten that do are no news.
    assert lost_inputs(champion, without(last.slice(0, 10), "customer_amount_mean_7d")) == {}


def test_the_first_days_of_a_source_may_lack_what_comes_from_history(
    trained: training.Trained, gappy: World
) -> None:
    settled = trained.first_date + timedelta(days=LOOKBACK_DAYS)
    days = gappy[0]["event_date"]
    before = gappy[0].filter(pa.compute.less(days, settled))
    champion = champion_of(trained)
    assert lost_inputs(champion, without(before, "amount_to_mean_ratio")) == {}
    assert lost_inputs(champion, without(before, "hour_of_day")) == {"hour_of_day": len(before)}


def test_no_rows_have_no_lost_inputs(trained: training.Trained, gappy: World) -> None:
    assert lost_inputs(champion_of(trained), gappy[0].slice(0, 0)) == {}
    assert len(to_matrix(gappy[0].slice(0, 0))) == 0
