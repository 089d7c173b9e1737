"""The suite of each table; a copy of a table has the same suite."""

from collections.abc import Callable
from typing import Final

from contracts.render.to_gx import Rule, base_rules
from contracts.tables import Table
from expectations.suites import (
    customers,
    features,
    labels,
    merchants,
    quarantine,
    scores,
    transactions,
    transactions_masked,
)

SUITES: Final[dict[str, Callable[[Table], tuple[Rule, ...]]]] = {
    "transactions": transactions.rules,
    "labels": labels.rules,
    "customers": customers.rules,
    "merchants": merchants.rules,
    "quarantine": quarantine.rules,
    "features": features.rules,
    "transactions_masked": transactions_masked.rules,
    "scores": scores.rules,
    "feature_drift": base_rules,
    "decisions": base_rules,
    "fct_transactions": transactions.rules,
    "fct_fraud_labels": labels.rules,
    "dim_customers": customers.rules,
    "dim_merchants": merchants.rules,
    "dim_dates": base_rules,
    "dim_currencies": base_rules,
    "rpt_fraud_daily": base_rules,
    "rpt_fraud_overview": base_rules,
    "rpt_fraud_patterns": base_rules,
}
