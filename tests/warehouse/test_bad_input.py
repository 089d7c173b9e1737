"""What differs upstream of PRODUCTION has a stated outcome and loses no row (docs/faults.md)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from pyiceberg.types import LongType, StringType

from contracts.render import to_arrow
from contracts.tables import TABLES
from lake.read import ValueTooWide
from warehouse import dbt_runner, load, transform
from warehouse.migrate import MigrationError, migrate

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("payment_marts")]
_DAY, _NEXT = "2024-05-01", "2024-05-02"
_MARTS = ("fct_transactions", "fct_fraud_labels", "dim_customers", "rpt_fraud_daily")


def _select(line: Any, query: str) -> list[Any]:
    with psycopg.connect(line.settings.warehouse.dsn("transformer")) as connection:
        return connection.execute(query.encode()).fetchall()


def _run(line: Any, statement: str) -> None:
    with psycopg.connect(line.settings.warehouse.dsn("loader")) as connection:
        connection.execute(statement.encode())


def _rows(line: Any) -> dict[str, list[Any]]:
    return {
        name: sorted(_select(line, f"select * from production.{name}"), key=repr) for name in _MARTS
    }


@pytest.fixture(scope="module")
def line(new_line: Callable[[], Any]) -> Any:
    """A line on which a day is published."""
    made = new_line()
    made.run(_DAY)
    return made


@pytest.fixture
def untouched(line: Any) -> Iterator[None]:
    """Prove that a test leaves PRODUCTION as it was."""
    before = _rows(line)
    yield
    assert _rows(line) == before


def test_a_payment_dated_before_its_customer_is_of_the_first_version(line: Any) -> None:
    # The parties of this lake are first seen at 12:01, payment 0 is of 12:00.
    early = _select(
        line,
        "select f.event_id, c.valid_from from production.fct_transactions as f"
        " left join production.dim_customers as c on c.source_system = f.source_system"
        " and c.customer_id = f.customer_id and c.valid_from = f.customer_valid_from"
        " where f.event_at < c.first_event_at or c.customer_id is null",
    )
    assert early == [(f"{_DAY}/0", datetime(1900, 1, 1, tzinfo=UTC))]


def test_a_label_for_an_unknown_payment_fails_the_build(line: Any, untouched: None) -> None:
    label = (
        "insert into staging.labels select 'nobody paid this', source_system, event_date, true,"
        " scenario, label_source, known_at, raw_object from staging.labels limit 1"
    )
    _run(line, label)
    with pytest.raises(dbt_runner.BuildFailed, match="fct_fraud_labels_refers_to_fct_transactions"):
        line.build(_DAY)
    assert _select(line, "select count(*) from staging.labels where event_id like 'nobody%'") == [
        (1,)
    ]
    _run(line, "delete from staging.labels where event_id = 'nobody paid this'")
    transform.publish(line.settings, line.build(_DAY))


def test_an_unlisted_currency_is_an_unknown_currency(new_line: Callable[[], Any]) -> None:
    line = new_line()
    line.lake.traits = {"sparkov": lambda number: {"currency": "QQQ"} if number == 2 else {}}
    line.run(_DAY)
    unknown = "select currency, currency_name from production.dim_currencies where not is_listed"
    shown = [("QQQ", "Unknown currency")]
    assert _select(line, unknown) == shown
    paid = "select count(*) from production.fct_transactions where currency = 'QQQ'"
    assert _select(line, paid) == [(1,)]
    line.run(_NEXT)
    assert _select(line, paid) == [(2,)]
    line.lake.traits = {}
    line.run(_NEXT)
    assert _select(line, unknown) == shown, "a day before has it"
    line.run("2024-05-03")
    assert _select(line, unknown) == shown, "a day without it takes nothing away"
    line.run(f"{_DAY}--{_NEXT}")
    assert _select(line, unknown) == [], "no payment has it any more"


def test_an_undeclared_column_is_not_loaded(new_line: Callable[[], Any]) -> None:
    line = new_line()
    with line.lake.catalog.load_table("processed.transactions").update_schema() as lake:
        lake.add_column("undeclared", StringType())
    line.run(_DAY)
    assert _select(line, "select count(*) from production.fct_transactions") == [(12,)]
    _run(line, "alter table staging.transactions add column undeclared text")
    transform.publish(line.settings, line.build(_DAY))
    assert _select(line, "select count(*) from production.fct_transactions") == [(12,)]
    with pytest.raises(MigrationError, match=r"other columns than declared \(undeclared\)"):
        migrate(line.settings)


def test_a_widened_type_is_loaded_while_its_values_fit(new_line: Callable[[], Any]) -> None:
    line = new_line()
    name = "processed.transactions"
    with line.lake.catalog.load_table(name).update_schema() as lake:
        lake.update_column("schema_version", LongType())
    line.run(_DAY)
    before = _rows(line)
    processed, prepared = line.lake.publish(_NEXT)
    declared = TABLES[name]
    rows = pa.Table.from_pylist(line.lake.content(name), to_arrow.schema(declared))
    nth = rows.schema.get_field_index("schema_version")
    column = pa.field("schema_version", pa.int64(), nullable=False)
    wide = rows.set_column(nth, column, pa.array([2**40] * len(rows), pa.int64()))
    line.lake.catalog.load_table(name).overwrite(wide)
    snapshot = line.lake.catalog.load_table(name).current_snapshot()
    processed.snapshots[name] = snapshot.snapshot_id
    with pytest.raises(ValueTooWide, match=r"in the lake: schema_version \(int64\)\. Nothing"):
        load.stage(line.lake.catalog, line.loader, processed, prepared, "wide")
    assert _select(line, "select count(*) from staging.transactions") == [(12,)]
    assert _rows(line) == before
