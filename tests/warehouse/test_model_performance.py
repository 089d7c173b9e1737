"""The marts measure models as `ml/evaluate.py` and scikit-learn do, ties and all."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.rows import dict_row
from sklearn.metrics import f1_score

from contracts.tables import TABLES
from ml import evaluate
from ml.evaluate import ScoredPayments
from warehouse import dbt_runner

pytestmark = pytest.mark.postgres
_DAYS = tuple(date(2024, 5, day) for day in (1, 2, 3))
_QUIET = _DAYS[-1]
_PAYMENTS = 400
_THRESHOLD = 0.5
_REPORTS = (
    "rpt_model_performance",
    "rpt_model_periods",
    "rpt_model_value",
    "rpt_score_calibration",
)
Row = dict[str, Any]


def _scored_payments(day: date, seed: int) -> ScoredPayments:
    """Return random payments of a day whose scores repeat; the last day has no fraud."""
    random = np.random.default_rng([seed, day.day])
    is_fraud = random.random(_PAYMENTS) < (0.0 if day == _QUIET else 0.1)
    score = np.clip(random.normal(0.3 + 0.3 * is_fraud, 0.3), 0, 1)
    is_coarse = random.random(_PAYMENTS) < 0.7
    return ScoredPayments(
        # Two decimals make ties, and put scores onto the edges of bins.
        score=np.where(is_coarse, np.round(score, 2), score),
        is_fraud=is_fraud,
        amount=np.round(random.lognormal(3, 1, _PAYMENTS), 2),
        customer=np.array([f"customer {n}" for n in random.integers(0, 300, _PAYMENTS)]),
        day=np.full(_PAYMENTS, day),
    )


def _rows(payments: ScoredPayments, make: Callable[..., list[Row]]) -> dict[str, list[Row]]:
    day = payments.day[0]
    known_at = datetime(2024, 5, 31, tzinfo=UTC)
    found: dict[str, list[Row]] = {
        "fct_transaction_scores": [],
        "fct_transactions": [],
        "fct_fraud_labels": [],
    }
    for number in range(_PAYMENTS):
        score, is_fraud = float(payments.score[number]), bool(payments.is_fraud[number])
        given = {
            "event_id": f"{day}/{number}",
            "customer_id": str(payments.customer[number]),
            "amount": Decimal(f"{payments.amount[number]:.2f}"),
            "currency": "USD",
            "model_name": "fraud_detector_sparkov",
            "model_version": 1,
            "score": score,
            "decision": "review" if score >= _THRESHOLD else "approve",
            "is_fraud": is_fraud,
            "known_at": known_at,
        }
        for name, rows in found.items():
            # What is not known to be fraud counts as legitimate, labelled or not.
            if name != "fct_fraud_labels" or is_fraud or number % 2:
                rows += make(TABLES[f"production.{name}"], [day], 1, **given)
    return found


def _fill(settings: Any, days: list[ScoredPayments], make: Callable[..., list[Row]]) -> None:
    """Put rows into the audited facts and build the reports on them."""
    with psycopg.connect(settings.warehouse.dsn("transformer")) as owner, owner.cursor() as cursor:
        for name in ("fct_transaction_scores", "fct_transactions", "fct_fraud_labels"):
            cursor.execute(f"delete from production_audit.{name}".encode())
            rows = [row for payments in days for row in _rows(payments, make)[name]]
            columns = list(rows[0])
            values = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"insert into production_audit.{name} ({', '.join(columns)})"
                f" values ({values})".encode(),
                [tuple(row.values()) for row in rows],
            )
    dbt_runner.run(settings, "scores", ["run", "--full-refresh"], {}, ["--select", *_REPORTS])


def _read(settings: Any, name: str) -> list[Row]:
    query = f"select * from production_audit.{name}"
    query += f" order by {', '.join(TABLES[f'production.{name}'].key)}"
    with psycopg.connect(settings.warehouse.dsn("transformer"), row_factory=dict_row) as owner:
        return owner.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def settings(new_line: Callable[[], Any]) -> Any:
    """A warehouse whose score marts were built once."""
    line = new_line()
    line.run("2024-05-01")
    line.score("2024-05-01")
    line.build("2024-05-01", "scores")
    return line.settings


@pytest.fixture(scope="module", params=[3, 4])
def days(
    settings: Any, request: pytest.FixtureRequest, payment_rows: Callable[..., list[Row]]
) -> list[ScoredPayments]:
    """Random days in the facts, with the reports built on them."""
    made = [_scored_payments(day, request.param) for day in _DAYS]
    _fill(settings, made, payment_rows)
    return made


def _together(days: list[ScoredPayments]) -> ScoredPayments:
    return ScoredPayments(
        *(
            np.concatenate([getattr(payments, name) for payments in days])
            for name in ("score", "is_fraud", "amount", "customer", "day")
        )
    )


def _near(value: float) -> Any:
    """Return what equals a figure to 1e-9, or null where Python has none."""
    return pytest.approx(value, abs=1e-9, rel=0) if value == value else None


def test_a_day_is_measured_as_python_measures_it(settings: Any, days: list[ScoredPayments]) -> None:
    for row, payments in zip(_read(settings, "rpt_model_performance"), days, strict=True):
        assert len(np.unique(payments.score)) < _PAYMENTS
        expected = {
            "auc": evaluate.roc_auc(payments),
            "average_precision": evaluate.average_precision(payments),
            "brier_score": evaluate.brier(payments),
            "score_mean": float(payments.score.mean()),
            "alert_recall_ratio": evaluate.recall_at(payments, _THRESHOLD),
            "alert_share": float((payments.score >= _THRESHOLD).mean()),
            # A quiet day has no card to find: Python's mean over days counts it as 0.
            "card_precision_100": evaluate.card_precision(payments),
            "card_precision_ceiling": evaluate.card_precision_ceiling(payments),
        }
        if not payments.is_fraud.any():
            expected |= dict.fromkeys(("card_precision_100", "card_precision_ceiling"), np.nan)
        for name, value in expected.items():
            assert row[name] == _near(value), name


def test_a_month_is_measured_over_all_its_payments(
    settings: Any, days: list[ScoredPayments]
) -> None:
    month = _together(days)
    (row,) = (r for r in _read(settings, "rpt_model_periods") if r["period_type"] == "month")
    expected = {
        "auc": evaluate.roc_auc(month),
        "average_precision": evaluate.average_precision(month),
        "brier_score": evaluate.brier(month),
        "alert_recall_ratio": evaluate.recall_at(month, _THRESHOLD),
    }
    for name, value in expected.items():
        assert row[name] == _near(value), name


@pytest.fixture
def learnt_until(
    settings: Any, days: list[ScoredPayments]
) -> Iterator[Callable[[date | None], None]]:
    """Build the reports again as if the version had learnt until then; None: nobody knows."""
    query = "update production_audit.dim_models set trained_as_of_date = %s"
    with psycopg.connect(settings.warehouse.dsn("transformer"), autocommit=True) as owner:

        def build(last: date | None) -> None:
            if last is None:
                owner.execute("update production_audit.dim_models set model_version = 2")
            else:
                owner.execute(query, (last,))
            dbt_runner.run(
                settings, "scores", ["run", "--full-refresh"], {}, ["--select", *_REPORTS]
            )

        yield build
        owner.execute("update production_audit.dim_models set model_version = 1")
        build(_DAYS[0] - timedelta(days=1))


def test_dates_that_a_model_may_have_learnt_from_are_separate(
    settings: Any, days: list[ScoredPayments], learnt_until: Callable[[date | None], None]
) -> None:
    learnt_until(_DAYS[0])
    for name in ("rpt_model_performance", "rpt_model_value", "rpt_score_calibration"):
        for row in _read(settings, name):
            assert row["is_unseen"] == (row["event_date"] > _DAYS[0]), name
    rows = _read(settings, "rpt_model_periods")
    months = {row["is_unseen"]: row for row in rows if row["period_type"] == "month"}
    for is_unseen, part in ((False, days[:1]), (True, days[1:])):
        assert months[is_unseen]["transaction_count"] == _PAYMENTS * len(part)
        assert months[is_unseen]["auc"] == _near(evaluate.roc_auc(_together(part)))


@pytest.mark.parametrize("last", [_DAYS[-1], None])
def test_a_model_without_unseen_dates_has_no_figures_for_them(
    settings: Any, learnt_until: Callable[[date | None], None], last: date | None
) -> None:
    learnt_until(last)
    for name in _REPORTS:
        assert {row["is_unseen"] for row in _read(settings, name)} == {False}, name


def test_precision_and_f1_are_of_the_alerts_with_a_label(
    settings: Any, days: list[ScoredPayments]
) -> None:
    has_label = np.arange(_PAYMENTS) % 2 == 1
    for row, payments in zip(_read(settings, "rpt_model_performance"), days, strict=True):
        known = payments.where(payments.is_fraud | has_label)
        assert row["labelled_count"] == len(known.score)
        precision = evaluate.precision_at(known, _THRESHOLD)
        assert row["alert_precision_ratio"] == _near(precision)
        if payments.day[0] == _QUIET:
            assert row["f1_score"] is None
        else:
            f1 = f1_score(known.is_fraud, known.score >= _THRESHOLD)
            assert row["f1_score"] == _near(f1)


def test_value_is_that_of_the_frauds(settings: Any, days: list[ScoredPayments]) -> None:
    for row, payments in zip(_read(settings, "rpt_model_value"), days, strict=True):
        share = evaluate.value_recall_at(payments, _THRESHOLD)
        assert row["saved_amount_share"] == _near(share)
        assert row["saved_amount"] + row["missed_amount"] == row["known_fraud_amount"]
        assert float(row["known_fraud_amount"]) == pytest.approx(
            payments.amount[payments.is_fraud].sum(), abs=1e-6
        )


def test_scores_are_binned_as_python_bins_them(settings: Any, days: list[ScoredPayments]) -> None:
    expected = [
        (payments.day[0], line)
        for payments in days
        for line in evaluate.calibration_table(payments)
    ]
    for row, (day, line) in zip(_read(settings, "rpt_score_calibration"), expected, strict=True):
        assert (row["event_date"], row["score_from"], row["score_to"]) == (day, line.low, line.high)
        assert row["transaction_count"] == line.payments
        assert row["score_mean"] == _near(line.mean_score)
        assert row["known_fraud_ratio"] == _near(line.fraud_share)


def test_the_order_of_the_rows_does_not_matter(settings: Any, days: list[ScoredPayments]) -> None:
    before = {name: _read(settings, name) for name in _REPORTS}
    with psycopg.connect(settings.warehouse.dsn("transformer"), autocommit=True) as owner:
        owner.execute(
            "create temporary table scores as select * from production_audit.fct_transaction_scores"
        )
        owner.execute("delete from production_audit.fct_transaction_scores")
        owner.execute(
            "insert into production_audit.fct_transaction_scores select * from scores"
            " order by md5(event_id)"
        )
    dbt_runner.run(settings, "scores", ["run", "--full-refresh"], {}, ["--select", *_REPORTS])
    assert {name: _read(settings, name) for name in _REPORTS} == before
