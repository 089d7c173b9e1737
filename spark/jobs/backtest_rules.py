"""The rules of fraud on the payments in the lake: alerts, and the known frauds among them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.fraud_rules import PAYMENT_COLUMNS, VELOCITIES, FraudRules
from contracts.lake_tables import EVENT_KEY
from contracts.render.to_iceberg import qualified
from contracts.tables import TABLES
from contracts.windows import Window
from lake.dates import date_ranges
from lake.frames import within
from spark.transforms.features import schema
from spark.transforms.features.velocity import with_velocities
from spark.transforms.labels import known_labels

if TYPE_CHECKING:
    import pyarrow as pa

ANY_RULE: Final = "any_rule"
"""Code of the payments on which at least one rule fires. Codes of rules have capital letters."""
_TRANSACTIONS: Final = TABLES["processed.transactions"]
_LABELS: Final = TABLES["processed.labels"]
_FEATURES: Final = TABLES["sandbox.features"]
_TABLES: Final = (_TRANSACTIONS, _LABELS, _FEATURES)
_CARRIED: Final = ("event_date", "currency", "amount", "is_fraud")
_CODES: Final = "codes"


class BacktestError(LookupError):
    """Raised when the lake has no payments to test rules on, or lacks a figure of a rule."""


@dataclass(frozen=True)
class RuleResult:
    """What a rule would have done to the payments in a currency, by the labels known now."""

    rule_code: str
    currency: str
    transaction_count: int
    labelled_count: int
    known_fraud_count: int
    known_fraud_amount: Decimal
    alert_count: int
    alert_amount: Decimal
    true_positive_count: int
    false_positive_count: int
    saved_amount: Decimal


@dataclass(frozen=True)
class Backtest:
    """The results of all rules and of `ANY_RULE`, in each currency.

    Labels count that were known at `backtested_at`. The dates are the first and the last one with
    payments.
    """

    source_system: str
    backtested_at: datetime
    first_event_date: date
    last_event_date: date
    rules_version: int
    results: tuple[RuleResult, ...]


def backtest_rules(
    spark: SparkSession,
    source: str,
    rules: FraudRules,
    known_by: datetime,
    window: Window | None = None,
) -> Backtest:
    """Apply rules to the payments of a source that have features, in a window or in the whole lake.

    Each rule is applied to all these payments, also to those before the date since which it counts.
    A suppression applies to the payments before it expires.
    Labels count if they were known by `known_by`.

    Raises:
        BacktestError: when there is no such payment, or a rule has a figure that is in neither
            `processed.transactions`, `sandbox.features` nor `VELOCITIES`.
    """
    figures = {condition.figure for rule in rules.rules for condition in rule.when}
    needed = figures | {*PAYMENT_COLUMNS}
    of_payments = needed & {*_TRANSACTIONS.column_names, *VELOCITIES}
    of_features = needed - of_payments
    if unknown := sorted(of_features - {*_FEATURES.column_names}):
        raise BacktestError(
            f"The lake has no {', '.join(unknown)}, so no rule that uses it can be tested. Use"
            f" columns of {_TRANSACTIONS.name} or {_FEATURES.name}, or VELOCITIES of"
            " contracts/fraud_rules.py."
        )
    on = f" on {window.span}" if window is not None else ""
    nothing = BacktestError(
        f"The lake has no payments of {source} with features{on}: run the line for them first, from"
        " land_transactions to prepare_sandbox."
    )
    if not all(spark.catalog.tableExists(qualified(table.name)) for table in _TABLES):
        raise nothing
    payments, labels, features = (
        spark.table(qualified(table.name)).filter(F.col("source_system") == source)
        for table in _TABLES
    )
    if window is not None:
        features = features.filter(within("event_date", date_ranges(window.dates())))
        # The first payments of the window need those of the hour before it.
        payments = payments.filter(within("event_date", date_ranges(window.dates(), before=1)))
    key = list(EVENT_KEY)
    rows = (
        payments.join(with_velocities(payments), key, "inner")
        .join(features.select(*key, *sorted(of_features)), key, "inner")
        .join(known_labels(labels, F.lit(known_by)), key, "left")
        .select(*_CARRIED, *sorted(needed - {*_CARRIED}))
    )
    groups = _grouped(rows, rules)
    if not groups:
        raise nothing
    codes = [*(rule.code for rule in rules.rules), ANY_RULE]
    return Backtest(
        source_system=source,
        backtested_at=known_by,
        first_event_date=min(group["first_event_date"] for group in groups),
        last_event_date=max(group["last_event_date"] for group in groups),
        rules_version=rules.version,
        results=tuple(
            _result(code, currency, [group for group in groups if group["currency"] == currency])
            for code in codes
            for currency in sorted({group["currency"] for group in groups})
        ),
    )


def _grouped(rows: DataFrame, rules: FraudRules) -> list[Row]:
    """Return payments and money by currency, label and the rules that fire."""
    fired = rows.mapInArrow(
        partial(_fired, rules=rules), f"{schema(_CARRIED)}, {_CODES} array<string>"
    )
    groups: list[Row] = (
        fired.groupBy("currency", "is_fraud", _CODES)
        .agg(
            F.count(F.lit(1)).alias("transaction_count"),
            F.sum("amount").alias("amount"),
            F.min("event_date").alias("first_event_date"),
            F.max("event_date").alias("last_event_date"),
        )
        .collect()
    )
    return groups


def _fired(batches: Iterable["pa.RecordBatch"], *, rules: FraudRules) -> Iterator["pa.RecordBatch"]:
    """Add the codes of the rules that fire for each payment, in a Python worker."""
    import pyarrow as pa

    for batch in batches:
        codes = [[rule.code for rule in rules.firing(payment)] for payment in batch.to_pylist()]
        carried = batch.select(list(_CARRIED))
        yield carried.append_column(_CODES, pa.array(codes, pa.list_(pa.string())))


def _result(code: str, currency: str, groups: Sequence[Row]) -> RuleResult:
    alerts = [
        group for group in groups if code in group[_CODES] or (code == ANY_RULE and group[_CODES])
    ]
    frauds = [group for group in groups if group["is_fraud"]]
    caught = [group for group in alerts if group["is_fraud"]]
    return RuleResult(
        rule_code=code,
        currency=currency,
        transaction_count=_count(groups),
        labelled_count=_count(group for group in groups if group["is_fraud"] is not None),
        known_fraud_count=_count(frauds),
        known_fraud_amount=_amount(frauds),
        alert_count=_count(alerts),
        alert_amount=_amount(alerts),
        true_positive_count=_count(caught),
        false_positive_count=_count(group for group in alerts if group["is_fraud"] is False),
        saved_amount=_amount(caught),
    )


def _count(groups: Iterable[Any]) -> int:
    return sum(group["transaction_count"] for group in groups)


def _amount(groups: Iterable[Any]) -> Decimal:
    return sum((group["amount"] for group in groups), Decimal(0))
