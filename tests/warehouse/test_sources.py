"""Several sources side by side: the same days and ids, other currencies, each with its own time."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from contracts.marts import scores
from contracts.tables import TABLES
from expectations.gates import gate_production
from warehouse import transform

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("payment_marts")]

# The bank's history is six years older than the shop's; that of the wallet overlaps the shop's.
SHOP = "handbook@2024-05-01--2024-05-03"
WALLET = "paysim1@2024-05-02--2024-05-04"
BANK = "banking_feed@2018-04-01--2018-04-02"
WINDOWS = (SHOP, WALLET, BANK)
CORE = (
    "dim_customers",
    "dim_merchants",
    "dim_dates",
    "fct_transactions",
    "fct_fraud_labels",
    "rpt_fraud_daily",
)
SCORED = tuple(table.short_name for table in scores.TABLES)
Totals = dict[tuple[str, str], tuple[int, Decimal]]


def shop(number: int) -> dict[str, Any]:
    return {"currency": "USD", "country": "US"}


def wallet(number: int) -> dict[str, Any]:
    """Pay from customer to customer: who is paid pays too."""
    payee = f"customer {(number + 1) % 5}"
    return {"currency": "XXX", "counterparty_id": payee, "counterparty_type": "customer"}


def bank(number: int) -> dict[str, Any]:
    """Pay in currencies of four, no and three decimals, in turn."""
    currency, part = (("CLF", "0.3712"), ("JPY", "0"), ("KWD", "0.371"))[number % 3]
    return {
        "currency": currency,
        "amount": Decimal(number) + Decimal(part),
        "counterparty_type": "bank",
    }


@pytest.fixture(scope="module")
def new_sources(new_line: Callable[[], Any]) -> Callable[[], Any]:
    """Make lines for three sources; a third of the bank's payments has no label."""

    def make() -> Any:
        line = new_line()
        line.lake.traits = {"handbook": shop, "paysim1": wallet, "banking_feed": bank}
        line.lake.unlabelled = {"banking_feed": 3}
        return line

    return make


@pytest.fixture(scope="module")
def line(new_sources: Callable[[], Any]) -> Any:
    """A line on which all three are published, and scored by a model each."""
    made = new_sources()
    for window in WINDOWS:
        made.run(window)
        made.score(window)
        transform.publish(made.settings, made.build(window, "scores"))
    return made


def select(line: Any, query: str, role: Any = "reader") -> list[Any]:
    with psycopg.connect(line.settings.warehouse.dsn(role)) as connection:
        return connection.execute(query.encode()).fetchall()


def marts(line: Any, names: tuple[str, ...] = CORE + SCORED) -> dict[str, Any]:
    return {
        name: sorted(select(line, f"select * from production.{name}"), key=repr) for name in names
    }


def in_lake(line: Any, name: str = "processed.transactions") -> Totals:
    """Return rows and money by source and currency, read from the lake without our loader."""
    totals: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in line.lake.catalog.load_table(name).scan().to_arrow().to_pylist():
        total = totals[row["source_system"], row["currency"]]
        total[0] += 1
        total[1] += row["amount"]
    return {key: (rows, money) for key, (rows, money) in totals.items()}


def in_warehouse(line: Any, relation: str, rows: str = "count(*)") -> Totals:
    found = select(
        line,
        f"select source_system, currency, {rows}, sum(amount) from {relation} group by 1, 2",
        "transformer",
    )
    return {(source, currency): (int(n), money) for source, currency, n, money in found}


def test_rows_and_money_are_those_of_the_lake_by_source_and_currency(line: Any) -> None:
    expected = in_lake(line)
    assert set(expected) == {
        ("handbook", "USD"),
        ("paysim1", "XXX"),
        ("banking_feed", "CLF"),
        ("banking_feed", "JPY"),
        ("banking_feed", "KWD"),
    }
    # Payments 0, 3, 6 and 9 of two days.
    assert expected["banking_feed", "CLF"] == (8, Decimal("38.9696"))
    assert in_warehouse(line, "staging.transactions") == expected
    assert in_warehouse(line, "production.fct_transactions") == expected
    assert in_warehouse(line, "production.rpt_fraud_daily", "sum(transaction_count)") == expected
    assert in_warehouse(line, "staging.features") == in_lake(line, "sandbox.features")


def test_every_key_has_the_source(line: Any) -> None:
    """The same payment, customer and merchant ids in two sources are different things."""
    ids = select(
        line, "select event_id from production.fct_transactions group by 1 having count(*) > 1"
    )
    assert len(ids) == 24, "two days, twelve payments, in the shop and the wallet"
    for name in CORE + SCORED:
        table = TABLES[f"production.{name}"]
        # A calendar date is of nobody, and a model has its source in its name.
        if name not in ("dim_dates", "dim_models"):
            assert "source_system" in table.key, name
    known = select(
        line,
        "select source_system, known_fraud_count, known_fraud_amount"
        " from production.rpt_fraud_daily where event_date = '2024-05-02' order by 1",
    )
    # Payments 0 and 7 of a day are fraud, known at once and three days later, at 12:07 UTC.
    assert known == [("handbook", 1, Decimal("0.37")), ("paysim1", 1, Decimal("0.37"))]


def test_query_plans_use_the_source_and_its_dates(line: Any) -> None:
    known = (
        "select most_common_vals::text::text[] from pg_stats where attname = '{}'"
        " and schemaname = 'production_audit' and tablename = 'fct_transactions'"
    )
    for column, values in (
        ("source_system", {"handbook", "paysim1", "banking_feed"}),
        ("event_date", {"2024-05-01", "2024-05-04", "2018-04-02"}),
    ):
        ((found,),) = select(line, known.format(column), "transformer")
        assert values <= set(found)


def test_each_source_has_its_own_time(line: Any) -> None:
    """The bank's last day is in 2018: what it learnt later is not known because the shop is."""
    reported = select(
        line,
        "select event_date, currency, known_fraud_count, as_of_date"
        " from production.rpt_fraud_daily"
        " where source_system = 'banking_feed' and event_date = '2018-04-01' order by currency",
    )
    # Of the bank's frauds 0 has no label, and 7 (JPY) is known on 2018-04-04.
    assert reported == [
        (date(2018, 4, 1), "CLF", 0, date(2018, 4, 2)),
        (date(2018, 4, 1), "JPY", 0, date(2018, 4, 2)),
        (date(2018, 4, 1), "KWD", 0, date(2018, 4, 2)),
    ]


def written(line: Any, name: str, source: str) -> set[tuple[str, str]]:
    """Return which rows these are and which transactions wrote them."""
    rows = select(
        line,
        f"select ctid::text, xmin::text from production.{name} where source_system = '{source}'",
    )
    return set(rows)


def test_any_order_of_sources_gives_the_same_marts(
    line: Any, new_sources: Callable[[], Any]
) -> None:
    other = new_sources()
    other.run(WALLET)
    other.run(SHOP)
    named = [name for name in CORE if name != "dim_dates"]
    before = {name: written(other, name, "handbook") for name in named}
    assert all(before.values())
    other.run(BANK)
    after = {name: written(other, name, "handbook") for name in named}
    assert after == before, "six years older, it rebuilds nothing of the others"
    for window in (BANK, WALLET, SHOP):
        other.score(window)
        transform.publish(other.settings, other.build(window, "scores"))
    assert marts(other) == marts(line)
    _what_a_source_learns_is_news_for_its_own_days_alone(other)


def _what_a_source_learns_is_news_for_its_own_days_alone(line: Any) -> None:
    query = (
        "select source_system, known_fraud_count from production.rpt_fraud_daily"
        " where event_date = '2024-05-02' order by 1"
    )
    assert select(line, query) == [("handbook", 1), ("paysim1", 1)]
    # Fraud 7 of 2 May is known on the 5th: the shop gets there, the wallet does not.
    line.run("handbook@2024-05-05")
    assert select(line, query) == [("handbook", 2), ("paysim1", 1)]


def test_a_build_of_one_source_publishes_no_slice_of_another(
    new_sources: Callable[[], Any],
) -> None:
    line = new_sources()
    line.load(SHOP)
    line.build(SHOP)  # and dies before its gate
    line.load(WALLET)
    built = line.build(WALLET)
    assert [(b.source_system, b.rows_in, b.rows_out) for b in built.balances] == [
        ("paysim1", 36, 36)
    ]
    dsn = line.settings.warehouse.dsn("transformer")
    result = gate_production(dsn, built, line.settings.state_dir)
    # The rows of this small lake are no real ones: what they must do is agree with STAGING.
    agreement = [check for check in result.checks if "equals_" in check.name]
    assert agreement
    assert [check for check in agreement if not check.passed] == []
    transform.publish(line.settings, built)
    named = [name for name in CORE if name != "dim_dates"]
    for name in named:
        found = select(line, f"select distinct source_system from production.{name}")
        assert found == [("paysim1",)], name
    before = marts(line, CORE)
    transform.discard(line.settings, line.build(SHOP))
    assert marts(line, CORE) == before
    audited = "select distinct source_system from production_audit.fct_transactions"
    assert select(line, audited, "transformer") == [("paysim1",)]
    transform.publish(line.settings, line.build(SHOP))
    assert in_warehouse(line, "production.fct_transactions") == in_lake(line)


def test_two_models_are_evaluated_separately(line: Any) -> None:
    # Of a day's twelve payments 0, 5 and 10 are alerts; 0 and 7 are fraud, 7 not known in time.
    rows = select(
        line,
        "select source_system, model_name, transaction_count, alert_count, known_fraud_count,"
        " true_positive_count, false_positive_count, alert_recall_ratio"
        " from production.rpt_model_performance where event_date in ('2024-05-02', '2018-04-01')"
        " order by 1",
    )
    assert rows == [
        # 0 has no label in the bank, so it is neither; 5 and 10 are known in time to be legitimate.
        ("banking_feed", "fraud_detector_banking_feed", 12, 3, 0, 0, 1, None),
        ("handbook", "fraud_detector_handbook", 12, 3, 1, 1, 1, 1.0),
        ("paysim1", "fraud_detector_paysim1", 12, 3, 1, 1, 2, 1.0),
    ]
    alerts = select(
        line,
        "select source_system, model_name, count(*), count(distinct event_id), count(is_fraud)"
        " from production.fct_fraud_alerts group by 1, 2 order by 1",
    )
    assert [row[:4] for row in alerts] == [
        ("banking_feed", "fraud_detector_banking_feed", 6, 6),
        ("handbook", "fraud_detector_handbook", 9, 9),
        ("paysim1", "fraud_detector_paysim1", 9, 9),
    ]


def test_scoring_a_source_again_keeps_the_scores_of_the_others(line: Any) -> None:
    before = marts(line, SCORED)
    line.score(SHOP)
    transform.publish(line.settings, line.build(SHOP, "scores"))
    assert marts(line, SCORED) == before


def test_a_customer_who_is_paid_is_in_both_dimensions(line: Any) -> None:
    both = select(
        line,
        "select count(distinct payer.customer_id) from production.dim_customers as payer"
        " inner join production.dim_merchants as payee on payer.source_system = payee.source_system"
        " and payer.customer_id = payee.counterparty_id where payer.source_system = 'paysim1'",
    )
    assert both == [(5,)]
    # In and then out again: a payee of a day pays on it, within the source alone.
    joined = select(
        line,
        "select distinct paid.source_system from production.fct_transactions as paid"
        " inner join production.fct_transactions as pays"
        " on paid.source_system = pays.source_system and paid.counterparty_id = pays.customer_id",
    )
    assert joined == [("paysim1",)]
