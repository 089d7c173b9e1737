"""Gate production: marts reconcile with STAGING, and facts have their dimensions."""

from datetime import date
from typing import Any

import psycopg
import pytest

from contracts.columns import Column, LogicalType
from contracts.render import to_postgres
from contracts.render.to_gx import WARNING
from contracts.stage_results import BuildResult
from contracts.tables import TABLES
from expectations.suites import production
from tests.stage_results import result_of
from warehouse.load import swap

pytestmark = pytest.mark.postgres
DAYS = (date(2024, 7, 1), date(2024, 7, 2))


ALL_TIME = {
    "valid_from": "'1900-01-01 00:00:00+00'",
    "valid_to": "'9999-12-31 00:00:00+00'",
    "is_current": "true",
    "changed_at": "first_event_at",
}
MARTS = {
    "dim_customers": ("staging.customers", ALL_TIME),
    "dim_merchants": ("staging.merchants", ALL_TIME),
    "fct_transactions": (
        "staging.transactions",
        {
            "delivered_date": "event_date",
            "customer_valid_from": ALL_TIME["valid_from"],
            "merchant_valid_from": ALL_TIME["valid_from"],
        },
    ),
    "fct_fraud_labels": ("staging.labels", {}),
}
"""Each mart with its origin, and the values of columns that have another name there."""


REPORTS = tuple(report for report, _, _ in production.REPORTS)
SUMMED = {
    "transaction_count": "count(*)",
    "customer_count": "count(distinct customer_id)",
    "amount": "sum(amount)",
    "known_fraud_amount": "7.37",
    "period_type": "'day'",
}


def _value(column: Column) -> str:
    """Return the expression of a report column, for a day and a currency."""
    if column.type is LogicalType.DATE:
        return "event_date"
    if column.name in ("source_system", "currency"):
        return column.name
    typical = {LogicalType.LONG: "1", LogicalType.INTEGER: "1", LogicalType.BOOLEAN: "false"}
    text = f"'{(column.allowed or ('text',))[0]}'"
    number = "0.05" if column.type in (LogicalType.DOUBLE, LogicalType.MONEY) else text
    return SUMMED.get(column.name, typical.get(column.type, number))


@pytest.fixture
def marts(house: Any) -> Any:
    """PRODUCTION's marts as they should be, in the audit schema."""
    swap(house.dsn("loader"), house.staged)
    with psycopg.connect(house.dsn("transformer")) as connection:

        def run(statement: str) -> None:
            connection.execute(statement.encode())

        for name in (*MARTS, "dim_dates", "dim_currencies", *REPORTS):
            table = TABLES[f"production.{name}"]
            run(f"drop table if exists production_audit.{name}")
            run(f"create table production_audit.{name} ({to_postgres.columns(table)})")
        for name, (origin, values_of) in MARTS.items():
            names = TABLES[f"production.{name}"].column_names
            columns, values = ", ".join(names), ", ".join(values_of.get(n, n) for n in names)
            run(f"insert into production_audit.{name} ({columns}) select {values} from {origin}")
        for day in DAYS:
            run(
                f"insert into production_audit.dim_dates values ('{day}', 2024, 3, 7, 'July',"
                f" '2024-07-01', 27, '2024-07-01', {day.isoweekday()}, '{day:%A}', false)"
            )
        run("insert into production_audit.dim_currencies values ('USD', 'Dollar', 2, '840', true)")
        for name in REPORTS:
            table = TABLES[f"production.{name}"]
            values = ", ".join(_value(column) for column in table.columns)
            run(
                f"insert into production_audit.{name} select {values}"
                " from production_audit.fct_transactions"
                " group by event_date, source_system, currency"
            )
    return house


def test_marts_that_reconcile_with_staging_pass(marts: Any) -> None:
    assert marts.closed_by(marts.production()) == set()


def test_faults_in_the_marts_close_the_gate(marts: Any) -> None:
    marts.spoil(
        "transformer",
        "delete from production_audit.fct_transactions"
        " where event_date = '2024-07-02' and amount > 18",
        "insert into production_audit.fct_fraud_labels"
        " select * from production_audit.fct_fraud_labels limit 1",
        "delete from production_audit.dim_customers where customer_id like '%03'",
        "update production_audit.dim_merchants set counterparty_id = 'nobody'"
        " where counterparty_id = 'merchant 2'",
        "delete from production_audit.dim_dates where calendar_date = '2024-07-01'",
        "update production_audit.dim_currencies set is_listed = false",
        "alter table production_audit.rpt_fraud_daily alter column amount type numeric(20,3)",
        "update production_audit.rpt_fraud_daily set amount = amount + 0.01",
        "alter table production_audit.dim_merchants drop column merchant_category",
    )
    result = marts.production()
    assert {
        "dim_customers.keys.keys_missing.between",
        "dim_merchants.keys.keys_missing.between",
        "fct_transactions.keys.in_unknown_currency.between",
    } == {check.name for check in result.checks if not check.passed and check.severity == WARNING}
    assert marts.closed_by(result) == {
        "fct_transactions.staging.rows.equals_rows_before",
        "fct_transactions.staging.amount.equals_amount_before",
        "fct_transactions.staging.content.equals_content_before",
        "fct_fraud_labels.staging.content.equals_content_before",
        "fct_transactions.keys.without_customer.between",
        "fct_transactions.keys.without_merchant.between",
        "fct_transactions.keys.without_date.between",
        "fct_transactions.keys.labels_without_payment.between",
        "dim_merchants.keys.keys_of_nobody.between",
        "fct_fraud_labels.staging.rows.equals_rows_before",
        "fct_fraud_labels.table.key_unique",
        "rpt_fraud_daily.types.stored_type.equals_declared_type",
        *(
            f"{report}.facts.{measure}.equals_{measure}_before"
            for report in REPORTS
            for measure in ("transaction_count", "amount")
        ),
        "dim_merchants.types.stored_type.equals_declared_type",
        "dim_merchants.table.columns",
        "dim_merchants.merchant_category.free_of",
    }


def test_a_build_without_dates_passes(marts: Any) -> None:
    built = result_of(BuildResult, "sparkov@2024-07-01", "build_gates")
    result = marts.production_of(built)
    assert marts.closed_by(result) == set()


def test_empty_marts_close_the_gate(marts: Any) -> None:
    marts.spoil(
        "transformer",
        "truncate production_audit.fct_transactions, production_audit.rpt_fraud_daily",
    )
    assert "fct_transactions.staging.rows.equals_rows_before" in marts.closed_by(marts.production())


def test_versions_that_overlap_or_leave_a_gap_close_the_gate(marts: Any) -> None:
    third = "'2024-07-02 03:30:00+00'"
    marts.spoil(
        "transformer",
        # Two versions of a customer with a gap in between, and both are the current one.
        "insert into production_audit.dim_customers select customer_id, source_system,"
        " '2024-07-02 05:00:00+00', valid_to, is_current, '2024-07-02 05:00:00+00', region,"
        " home_lat, home_lon, country, first_event_at, last_event_at"
        " from production_audit.dim_customers where customer_id like '%03'",
        f"update production_audit.dim_customers set valid_to = {third}"
        " where customer_id like '%03' and valid_from < '2000-01-01'",
        # Two versions of a merchant overlap: payments refer to the first after its end too.
        "insert into production_audit.dim_merchants select counterparty_id, source_system,"
        f" {third}, valid_to, true, {third}, counterparty_type, merchant_category,"
        " first_event_at, last_event_at"
        " from production_audit.dim_merchants where counterparty_id = 'merchant 0'",
        "update production_audit.dim_merchants set is_current = false,"
        " valid_to = '2024-07-02 08:30:00+00'"
        " where counterparty_id = 'merchant 0' and valid_from < '2000-01-01'",
    )
    assert marts.closed_by(marts.production()) == {
        "dim_customers.versions.apart.between",
        "dim_customers.versions.wrongly_current.between",
        "dim_merchants.versions.overlapping.between",
        "fct_transactions.keys.of_another_customer_version.between",
        "fct_transactions.keys.of_another_merchant_version.between",
    }
