"""Alerts by rules and by the champion, for figures of payments."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier

from contracts.features import FEATURE_NAMES
from contracts.fraud_rules import FraudRules, fraud_rules
from contracts.render.to_arrow import arrow_type
from ml.artefact import Passport
from ml.champion import Champion
from ml.threshold import Bands
from spark.jobs.stream_features import FIGURES
from streaming.detection import ALERT_SCHEMA, alerts

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PAYMENT = {
    "source_system": "simulator",
    "event_date": NOON.date(),
    "event_at": NOON,
    "ingested_at": NOON,
    "customer_id": "c1",
    "channel": "app",
    "amount": Decimal("9.5000"),
    "currency": "USD",
}
IN_ORBIT = {"travel_speed_km_per_hour": 28_000.0}


def figures(**payments: Mapping[str, Any]) -> pa.Table:
    """Return the figures of payments by `event_id`; what is not given is unknown."""
    schema = pa.schema([(one.name, arrow_type(one.type)) for one in FIGURES])
    rows = [{**PAYMENT, **changes, "event_id": name} for name, changes in payments.items()]
    return pa.Table.from_pylist(rows, schema)


def champion() -> Champion:
    """Return a model for which each amount above 1,000 is fraud."""
    rng = np.random.default_rng(7)
    amounts = pd.DataFrame({"amount": rng.uniform(0, 2_000, 400), "hour_of_day": 12.0})
    model = HistGradientBoostingClassifier(max_iter=20, random_state=7)
    model.fit(amounts, amounts["amount"] > 1_000)
    passport = Passport(
        Bands(0.3, 0.5, 0.99),
        {"amount": 50.0, "hour_of_day": 12.0},
        {"amount": 0.0, "hour_of_day": 0.0},
        date(2026, 1, 1),
        feature_names=FEATURE_NAMES,
    )
    return Champion("fraud_detector_simulator", 3, model, passport)


def test_the_severest_rule_decides_and_rules_of_low_severity_raise_no_alert() -> None:
    payments = figures(
        usual={},
        at_night={"local_hour_of_day": 3},
        large={"amount": Decimal("10000.0100"), "local_hour_of_day": 3},
        yen={"amount": Decimal(20_000), "currency": "JPY"},
        fast=IN_ORBIT,
        before_the_rules={**IN_ORBIT, "event_date": date(2025, 12, 31)},
    )

    found = alerts(payments, fraud_rules(), None)

    assert found.schema == ALERT_SCHEMA
    names = ("event_id", "rule_codes", "risk_level", "decision")
    assert [tuple(row[name] for name in names) for row in found.to_pylist()] == [
        ("large", ["HIGH_AMOUNT", "UNUSUAL_HOUR"], "high", "review"),
        ("fast", ["IMPOSSIBLE_TRAVEL"], "critical", "decline"),
    ]
    large = found.to_pylist()[0]
    assert {name: large[name] for name in PAYMENT} == {**PAYMENT, "amount": Decimal("10000.0100")}
    assert large["rules_version"] == fraud_rules().version
    assert [large[name] for name in ("model_name", "model_version", "score")] == [None] * 3
    assert large["reason_codes"] == large["rule_codes"]
    assert large["reason_sentences"][0].endswith("The amount is 10,000.01 USD.")
    assert datetime.now(UTC) >= large["detected_at"] > NOON


def test_a_suppressed_rule_raises_no_alert_until_it_expires() -> None:
    token = "0a" * 16
    payments = figures(
        own={**IN_ORBIT, "customer_id": token},
        later={**IN_ORBIT, "customer_id": token, "event_date": date(2026, 6, 2)},
        other=IN_ORBIT,
    )
    about = {"source_system": "simulator", "customer_id": token, "owner": "o", "reason": "Flies."}
    suppression = {"rule": "IMPOSSIBLE_TRAVEL", **about, "expires": "2026-06-02"}
    rules = fraud_rules().model_dump(by_alias=True) | {"suppressions": [suppression]}

    found = alerts(payments, FraudRules.model_validate(rules), None)

    assert found["event_id"].to_pylist() == ["later", "other"]


def test_the_champion_raises_alerts_beside_the_rules() -> None:
    payments = figures(
        usual={"hour_of_day": 12},
        scored={"amount": Decimal(1_500), "hour_of_day": 12},
        both={"amount": Decimal(1_500), **IN_ORBIT},
        by_rule=IN_ORBIT,
    )

    found = {
        row["event_id"]: row for row in alerts(payments, fraud_rules(), champion()).to_pylist()
    }

    assert found.keys() == {"scored", "both", "by_rule"}
    assert found["scored"]["rule_codes"] == []
    assert found["scored"]["decision"] == "review"
    assert found["scored"]["reason_codes"] == ["AMOUNT"]
    assert found["both"]["reason_codes"] == ["IMPOSSIBLE_TRAVEL", "AMOUNT"]
    assert found["both"]["reason_sentences"] == [
        "The customer would have travelled faster than an aircraft since the previous payment. The"
        " customer would have travelled at 28,000 km/h since the previous payment with a place.",
        "The amount is 1,500.00 USD.",
    ]
    assert found["both"]["decision"] == found["by_rule"]["decision"] == "decline"
    assert found["by_rule"]["score"] < 0.3 < found["both"]["score"]
    assert found["by_rule"]["reason_codes"] == ["IMPOSSIBLE_TRAVEL"]
    assert {(row["model_name"], row["model_version"]) for row in found.values()} == {
        ("fraud_detector_simulator", 3)
    }


def test_no_payment_gives_no_alert() -> None:
    assert alerts(figures(), fraud_rules(), champion()) == ALERT_SCHEMA.empty_table()
    assert alerts(figures(usual={}), fraud_rules(), None) == ALERT_SCHEMA.empty_table()
