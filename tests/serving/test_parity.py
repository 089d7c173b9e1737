"""Requests get the features and the scores that the batch line gives the same payments."""

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts.features import FEATURE_NAMES
from contracts.settings import Settings
from ml.champion import Champion
from ml.matrix import to_matrix
from serving.decision import Decision
from serving.service import DecisionService
from serving.tokens import Tokens
from tests.serving.champions import learnt
from tests.serving.sample import features_of_all, lake
from tests.serving.stores import Store

pytestmark = pytest.mark.postgres
_FIELDS = {
    "event_id": "transaction_id",
    "customer_id": "customer_id",
    "instrument_id": "card_number",
    "counterparty_id": "merchant_id",
    "merchant_category": "merchant_category",
    "amount": "amount",
    "country": "country",
    "transaction_lat": "lat",
    "transaction_lon": "lon",
    "home_lat": "home_lat",
    "home_lon": "home_lon",
    "device_id": "device_id",
}


def pseudonymised(payments: pa.Table, key_file: Path) -> pa.Table:
    tokens = Tokens(key_file)
    rows = payments.to_pylist()
    for row in rows:
        row |= {name: one for name, one in tokens.of(row, "sparkov").items() if name in row}
    return pa.Table.from_pylist(rows, payments.schema)


def requested(payment: dict[str, Any]) -> dict[str, Any]:
    request = {field: payment[column] for column, field in _FIELDS.items()}
    at = payment["event_at"].isoformat()
    return request | {"timestamp": at, "amount": str(payment["amount"])}


def answers(service: DecisionService, payments: list[dict[str, Any]]) -> Iterator[Decision]:
    """Send payments alone and in requests of several, which are decided together."""
    bodies, sizes = [json.dumps(requested(one)).encode() for one in payments], cycle((1, 7, 40))
    while bodies:
        size = next(sizes)
        for answer in service.detect_all(bodies[:size], "tester"):
            assert isinstance(answer, Decision), answer
            yield answer
        bodies = bodies[size:]


def differences(settings: Settings, days: int) -> tuple[int, float, float]:
    """Replay the last days of the sample by requests, with a fill from the lake before each day.

    Returns the number of payments, and the largest differences of features and scores.
    """
    payments, labels = lake()
    champion: Champion = learnt(payments, labels)
    service = DecisionService(settings)
    service.models.use({"sparkov": champion})
    in_lake = pseudonymised(payments, settings.pseudonym_key_file)
    expected = to_matrix(features_of_all(in_lake, labels))
    scores = champion.score(expected)
    by_id = {name: at for at, name in enumerate(in_lake["event_id"].to_pylist())}
    last = payments["event_date"][-1].as_py()
    count, most_feature, most_score = 0, 0.0, 0.0
    for day in (last - timedelta(days - 1 - n) for n in range(days)):
        Store(settings, None).fill_until(in_lake, labels, day - timedelta(1))
        own = payments.filter(pc.equal(payments["event_date"], day)).to_pylist()
        for payment, answer in zip(own, answers(service, own), strict=True):
            assert not answer.degraded, answer.degraded_causes
            at = by_id[payment["event_id"]]
            for name in FEATURE_NAMES:
                one, other = expected[name].iloc[at], answer.features[name]
                assert (other is None) == (one != one), name
                if other is not None:
                    most_feature = max(most_feature, abs(one - other))
            most_score = max(most_score, abs((answer.risk_score or 0.0) - scores[at]))
            count += 1
    return count, most_feature, most_score


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    """The warehouse with the key of the test platform."""
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


def test_a_day_of_requests_has_the_features_and_scores_of_the_batch_line(
    settings: Settings,
) -> None:
    count, feature, score = differences(settings, 1)
    assert count > 300
    assert feature <= 1e-9
    assert score <= 1e-6


@pytest.mark.soak
def test_ten_thousand_requests_have_the_features_and_scores_of_the_batch_line(
    settings: Settings,
) -> None:
    """It takes some minutes: 28 days of requests, with a fill from the lake before each day."""
    count, feature, score = differences(settings, 28)
    assert count > 10_000
    assert feature <= 1e-9
    assert score <= 1e-6
