"""Versions of customers and merchants: the same however the days come, and facts follow them."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import pytest

from contracts.settings import Settings, get_settings
from contracts.tables import TABLES
from contracts.windows import Window
from sources import registry
from tests.warehouses import Warehouses
from warehouse import dbt_runner, transform

pytestmark = pytest.mark.postgres
EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples"
SHOP, BANK = "sparkov", "handbook"
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
DAYS = [date(2024, 5, day) for day in range(1, 7)]
MARTS = ("dim_customers", "dim_merchants", "fct_transactions")
ATTRIBUTES = {
    "customer_id": ("region", "home_lat", "home_lon"),
    "counterparty_id": ("counterparty_type", "merchant_category"),
}
Payment = dict[str, Any]
Key = tuple[str, date]
"""A source and a day."""


class Staging:
    """STAGING whose days are replaced at will, and PRODUCTION built from them."""

    def __init__(self, settings: Settings, payment_row: Callable[..., Payment]) -> None:
        self.settings, self.payment_row = settings, payment_row
        self.loaded: dict[Key, list[Payment]] = {}
        self.published: dict[Key, list[Payment]] = {}
        with psycopg.connect(settings.warehouse.dsn("loader")) as connection:
            connection.execute(
                "create table staging.transactions_any partition of staging.transactions default"
            )

    def load(self, source: str, day: date, payments: Iterable[Payment]) -> None:
        """Replace a day of a source; a payment is given by its differences from a default."""
        table = TABLES["staging.transactions"]
        rows = [
            self.payment_row(
                table,
                day,
                1,
                **{
                    "source_system": source,
                    "event_id": f"{day}/{number}",
                    "event_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
                    "source_sequence": number,
                    "currency": "USD",
                    "region": None,
                    "home_lat": None,
                    "home_lon": None,
                    "counterparty_id": None,
                    "counterparty_type": "merchant",
                    "merchant_category": None,
                    **payment,
                },
            )
            for number, payment in enumerate(payments)
        ]
        self.loaded[source, day] = rows
        with psycopg.connect(self.settings.warehouse.dsn("loader")) as connection:
            connection.execute(
                "delete from staging.transactions where source_system = %s and event_date = %s",
                (source, day),
            )
            names, places = (
                ", ".join(form.format(name) for name in table.column_names)
                for form in ("{}", "%({})s")
            )
            connection.cursor().executemany(
                f"insert into staging.transactions ({names}) values ({places})".encode(), rows
            )
            for name, key, others in (
                ("customers", "customer_id", "max(country), max(region), 0.5, 0.5"),
                ("merchants", "counterparty_id", "max(counterparty_type), max(merchant_category)"),
            ):
                # As in the lake, a party is never removed.
                connection.execute(
                    f"delete from staging.{name} where (source_system, {key}) in"
                    f" (select source_system, {key} from staging.transactions)".encode()
                )
                connection.execute(
                    f"insert into staging.{name} select {key}, source_system, {others},"
                    " min(event_at), max(event_at) from staging.transactions"
                    f" where {key} is not null group by source_system, {key}".encode()
                )

    def build(self, source: str, days: Sequence[date]) -> Any:
        """Build days of a source."""
        window = Window(source, min(days), max(days))
        return transform.build(self.settings, window=window, run_id="build", dates=days)

    def run(self, source: str, days: Sequence[date]) -> None:
        """Build and publish days of a source."""
        transform.publish(self.settings, self.build(source, days))
        self.published |= {(source, day): self.loaded.get((source, day), []) for day in days}

    def select(self, query: str) -> list[Any]:
        """Return the rows of a query."""
        with psycopg.connect(self.settings.warehouse.dsn("transformer")) as connection:
            return connection.execute(query.encode()).fetchall()

    def marts(self, schema: str = "production") -> dict[str, list[Any]]:
        """Return all rows of the marts."""
        return {
            name: sorted(self.select(f"select * from {schema}.{name}"), key=repr) for name in MARTS
        }

    def versions(self, name: str, key: str, attribute: str, party: str) -> list[Any]:
        """Return when each version of a party starts and ends, and an attribute of it."""
        return self.select(
            f"select valid_from, valid_to, {attribute} from production.{name}"
            f" where {key} = '{party}' order by valid_from"
        )


def expected_versions(payments: Iterable[Payment], key: str) -> set[tuple[Any, ...]]:
    """Return the expected rows of the dimension of a key, from all payments in order."""
    found = set()

    def party(payment: Payment) -> tuple[str, str]:
        return payment["source_system"], payment[key]

    def moment(payment: Payment) -> tuple[Any, ...]:
        return payment["event_at"], payment["source_sequence"], payment["event_id"]

    known = sorted((p for p in payments if p[key]), key=lambda p: (party(p), moment(p)))
    for who, theirs in groupby(known, party):
        spoken = {payment["event_at"]: payment for payment in theirs}
        states = [(at, tuple(p[a] for a in ATTRIBUTES[key])) for at, p in spoken.items()]
        changes = [
            state for n, state in enumerate(states) if n == 0 or state[1] != states[n - 1][1]
        ]
        for n, (at, attributes) in enumerate(changes):
            ends = changes[n + 1][0] if n + 1 < len(changes) else LAST
            found.add((*who, at if n else FIRST, ends, ends == LAST, at, *attributes))
    return found


def expected_facts(payments: Iterable[Payment]) -> set[tuple[Any, ...]]:
    """Return each payment with the start of the versions in force when it happened."""
    payments = list(payments)
    starts = {
        key: {
            who: [(row[2], row[3]) for row in rows]
            for who, rows in groupby(
                sorted(expected_versions(payments, key), key=lambda row: row[:3]),
                lambda row: row[:2],
            )
        }
        for key in ATTRIBUTES
    }

    def start(payment: Payment, key: str) -> datetime | None:
        versions = starts[key].get((payment["source_system"], payment[key]), [])
        return next((a for a, b in versions if a <= payment["event_at"] < b), None)

    return {
        (p["source_system"], p["event_id"], *(start(p, key) for key in ATTRIBUTES))
        for p in payments
    }


def require_expected(staging: Staging) -> None:
    """Compare PRODUCTION with the expected rows of the published days."""
    payments = [payment for day in staging.published.values() for payment in day]
    for name, key in (("dim_customers", "customer_id"), ("dim_merchants", "counterparty_id")):
        columns = ", ".join(ATTRIBUTES[key])
        rows = staging.select(
            f"select source_system, {key}, valid_from, valid_to, is_current, changed_at, {columns}"
            f" from production.{name}"
        )
        assert set(rows) == expected_versions(payments, key)
        assert len(rows) == len(set(rows))
    facts = staging.select(
        "select source_system, event_id, customer_valid_from, merchant_valid_from"
        " from production.fct_transactions"
    )
    assert set(facts) == expected_facts(payments)
    assert len(facts) == len(payments)


def require_full_refresh_is_the_same(staging: Staging) -> None:
    """Compare PRODUCTION with a build of everything at once, row for row."""
    daily = staging.marts()
    dbt_runner.run(
        staging.settings,
        "core",
        ["run", "--full-refresh"],
        {"reader": staging.settings.warehouse.user("reader")},
        ["--select", *MARTS],
    )
    assert staging.marts("production_audit") == daily


@pytest.fixture
def staging(
    warehouses: Warehouses,
    payment_rows: Callable[..., list[Payment]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Staging]:
    """An empty STAGING of a separate warehouse whose marts exist and are empty."""

    def payment_row(table: Any, day: date, count: int, **given: Any) -> Payment:
        return payment_rows(table, [day], count, **given)[0]

    with warehouses.borrowed_with_marts() as settings:
        # Only these are built, which saves time.
        monkeypatch.setitem(transform._SELECTED, "core", MARTS)
        yield Staging(settings, payment_row)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def test_a_change_and_its_reversal_are_three_versions_in_any_order(staging: Staging) -> None:
    """Late, rebuilt without the change, rebuilt with it, taken back altogether."""
    one, two, three, four = DAYS[:4]
    moves = {one: "A", two: "B", three: "A", four: "A"}
    for day in (one, three, four):
        staging.load(SHOP, day, [{"customer_id": "mover", "region": moves[day]}])
    staging.run(SHOP, [one, three, four])

    def versions() -> list[Any]:
        return staging.versions("dim_customers", "customer_id", "region", "mover")

    assert versions() == [(FIRST, LAST, "A")]
    there_and_back = [
        (FIRST, noon(two), "A"),
        (noon(two), noon(three), "B"),
        (noon(three), LAST, "A"),
    ]
    visitor = {"customer_id": "visitor", "region": "Z"}
    staging.load(SHOP, two, [{"customer_id": "mover", "region": "B"}, visitor])
    built = staging.build(SHOP, [two])
    before = staging.marts()
    transform.discard(staging.settings, built)
    assert staging.marts("production_audit") == before, "a refused build is undone on all dates"
    staging.run(SHOP, [two])
    assert versions() == there_and_back
    require_expected(staging)
    staging.load(SHOP, two, [visitor])
    staging.run(SHOP, [two])
    assert versions() == [(FIRST, LAST, "A")], "the day came again without the change"
    require_expected(staging)
    staging.load(SHOP, two, [{"customer_id": "mover", "region": "B"}])
    staging.run(SHOP, [two])
    assert versions() == there_and_back
    assert staging.versions("dim_customers", "customer_id", "region", "visitor") == []
    require_expected(staging)
    require_full_refresh_is_the_same(staging)


def test_a_corrected_day_of_a_zone_replaces_its_versions(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half past midnight in Cologne is a payment of that day, and of UTC's day before."""
    mappings = get_settings().model_copy(update={"mappings_dir": EXAMPLES})
    monkeypatch.setattr(registry, "get_settings", lambda: mappings)
    at = datetime(2024, 5, 1, 22, 30, tzinfo=UTC)
    for region in ("A", "B"):
        payment = {"customer_id": "night", "region": region, "event_at": at}
        staging.load("european_shop", DAYS[1], [payment])
        staging.run("european_shop", [DAYS[1]])

    assert staging.versions("dim_customers", "customer_id", "region", "night") == [
        (FIRST, LAST, "B")
    ]


def test_a_late_payment_finds_its_customer(staging: Staging) -> None:
    """One that is dated before the first payment known of its customer is of the first version."""
    one, two, three = DAYS[:3]
    paid = {"counterparty_id": "m", "merchant_category": "travel", "region": "NY"}
    staging.load(SHOP, three, [{"customer_id": "c", **paid}])
    staging.run(SHOP, [three])
    staging.load(SHOP, one, [{"customer_id": "c", **paid}])
    staging.run(SHOP, [one])
    require_expected(staging)
    # Earlier still in the order of arrival: the first version is another one from now on.
    staging.load(SHOP, two, [{"customer_id": "c", **paid, "region": "FL"}])
    staging.load(SHOP, one, [{"customer_id": "c", **paid, "region": "FL"}])
    staging.run(SHOP, [one])
    staging.run(SHOP, [two])
    require_expected(staging)
    assert staging.versions("dim_customers", "customer_id", "region", "c") == [
        (FIRST, noon(three), "FL"),
        (noon(three), LAST, "NY"),
    ]
    (first,) = staging.select("select distinct first_event_at from production.dim_customers")
    assert first == (noon(one),)


def some_day(chance: random.Random, day: date) -> list[Payment]:
    """Return payments of parties whose attributes come and go, some at the same instant."""

    def one_of(*values: Any) -> Any:
        return chance.choice(values)

    return [
        {
            "customer_id": f"customer {chance.randrange(12)}",
            "event_at": noon(day) + timedelta(hours=chance.randrange(4)),
            "source_sequence": chance.randrange(3),
            "region": one_of("A", "A", "B", None),
            "home_lat": one_of(0.5, 0.5, 0.5, None),
            "counterparty_id": one_of(None, *(f"merchant {n}" for n in range(8))),
            "counterparty_type": one_of("merchant", "merchant", "terminal"),
            "merchant_category": one_of("x", "x", "y", None),
        }
        for _ in range(chance.randrange(14))
    ]


def test_any_order_of_days_gives_the_same_tables(staging: Staging) -> None:
    """Days of two sources load, load again, wait for their build, are refused: all at random."""
    chance = random.Random(1)
    every = [(source, day) for source in (SHOP, BANK) for day in DAYS]
    waiting: set[Key] = set()
    for step in range(9):
        for source, day in chance.sample(every, 4):
            staging.load(source, day, some_day(chance, day))
            waiting.add((source, day))
        source = chance.choice(sorted({source for source, _ in waiting}))
        ready = sorted(day for owner, day in waiting if owner == source)
        days = chance.sample(ready, chance.randint(1, len(ready)))
        if step % 4 == 3:
            before = staging.marts()
            transform.discard(staging.settings, staging.build(source, days))
            assert staging.marts("production_audit") == before
        else:
            staging.run(source, days)
            waiting -= {(source, day) for day in days}
            require_expected(staging)
    for source in (SHOP, BANK):
        days = [day for owner, day in sorted(waiting) if owner == source]
        if days:
            staging.run(source, days)
    require_expected(staging)
    require_full_refresh_is_the_same(staging)
