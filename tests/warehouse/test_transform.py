"""STAGING → PRODUCTION: independent of the order of days, atomic, and published after the gate."""

import ast
import re
import subprocess
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import yaml

from contracts.lake_tables import PARTY_INTERVAL
from contracts.marts import core, reports, scores
from contracts.settings import REPO, Settings
from contracts.stage_results import BuildResult
from contracts.tables import TABLES
from tests.stage_results import result_of
from warehouse import dbt_runner, transform

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("payment_marts")]
_HISTORY = "2024-05-01--2024-05-03"
_LAST = "2024-05-04"
_CORE = tuple(table.short_name for table in (*core.TABLES, *reports.TABLES))
_SCORED = tuple(table.short_name for table in scores.TABLES)


def _connect(settings: Settings, role: Any = "reader") -> psycopg.Connection:
    return psycopg.connect(settings.warehouse.dsn(role), autocommit=True)


def _marts(
    settings: Settings,
    names: tuple[str, ...] = _CORE,
    schema: str = "production",
    without: Collection[str] = (),
) -> dict[str, list[tuple[Any, ...]]]:
    role = "reader" if schema == "production" else "transformer"
    marts = {}
    with _connect(settings, role) as connection:
        for name in names:
            columns = TABLES[f"production.{name}"].column_names
            read = ", ".join(column for column in columns if column not in without)
            rows = connection.execute(f"select {read} from {schema}.{name}".encode()).fetchall()
            marts[name] = sorted(rows, key=repr)
    return marts


@pytest.fixture(scope="module")
def line(new_line: Callable[[], Any]) -> Any:
    """A line on which the history is published, and scored."""
    made = new_line()
    made.run(_HISTORY)
    made.score(_HISTORY)
    transform.publish(made.settings, made.build(_HISTORY, "scores"))
    return made


@pytest.fixture
def untouched(line: Any) -> Iterator[None]:
    """Prove that a test leaves PRODUCTION byte for byte as it was.

    The first and last payments of parties are those of STAGING, also of days not published yet.
    """
    before = _marts(line.settings, _CORE + _SCORED, without=PARTY_INTERVAL)
    yield
    assert _marts(line.settings, _CORE + _SCORED, without=PARTY_INTERVAL) == before


def test_a_report_counts_the_fraud_known_by_then(line: Any) -> None:
    # Payments 0 and 7 of a day are fraud, known at once and three days later.
    with _connect(line.settings) as reader:
        rows = reader.execute(
            "select currency, known_fraud_count, known_fraud_amount, as_of_date"
            " from production.rpt_fraud_daily where event_date = '2024-05-01' order by currency"
        ).fetchall()
    assert rows == [
        ("EUR", 1, Decimal("0.37"), date(2024, 5, 3)),
        ("USD", 0, Decimal("0.00"), date(2024, 5, 3)),
    ]


def test_a_build_reports_its_balance(line: Any) -> None:
    built = line.build(_HISTORY)
    assert [(b.currency, b.rows_in, b.rows_out) for b in built.balances] == [
        ("EUR", 9, 9),
        ("USD", 27, 27),
    ]
    transform.publish(line.settings, built)


def test_daily_builds_equal_one_build(new_line: Callable[[], Any], line: Any) -> None:
    whole, daily = line, new_line()
    for window, scored in (
        ("2024-05-01", "2024-05-01"),
        ("2024-05-02", None),
        ("2024-05-03", "2024-05-02--2024-05-03"),
    ):
        daily.run(window)
        if scored:
            daily.score(scored)
            transform.publish(daily.settings, daily.build(scored, "scores"))
    assert _marts(daily.settings) == _marts(whole.settings)
    # A label that arrived after its day changed the alerts and figures of that day.
    assert _marts(daily.settings, _SCORED) == _marts(whole.settings, _SCORED)


def test_a_day_redelivered_empty_is_removed_from_every_mart(new_line: Callable[[], Any]) -> None:
    """Its rows go although no query returns its date: dbt's own delete+insert would keep them."""
    line, day = new_line(), "2024-05-02"
    line.run(_HISTORY)
    line.score(_HISTORY)
    transform.publish(line.settings, line.build(_HISTORY, "scores"))
    line.run(day, rows={date.fromisoformat(day): 0})
    transform.publish(line.settings, line.build(day, "scores"))
    published = _marts(line.settings)
    declared = {name: TABLES[f"production.{name}"].column_names for name in _CORE + _SCORED}
    dated = [name for name, columns in declared.items() if "event_date" in columns]
    with _connect(line.settings) as reader:
        for name in dated:
            query = f"select count(*) from production.{name} where event_date = '{day}'"
            assert reader.execute(query.encode()).fetchone() == (0,), name
    variables = {"source": "sparkov", "as_of": "2024-05-03"}
    dbt_runner.run(
        line.settings, "core", ["run", "--full-refresh"], variables, ["--select", *_CORE]
    )
    assert _marts(line.settings, schema="production_audit") == published


def test_an_unpublished_build_is_invisible_and_can_be_restored(line: Any, untouched: None) -> None:
    audited = _marts(line.settings, schema="production_audit")
    line.load(_LAST)
    built = line.build(_LAST)
    assert len(_marts(line.settings, schema="production_audit")["fct_transactions"]) == 48
    with _connect(line.settings) as reader:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("select * from production_audit.fct_transactions")
        count = reader.execute("select count(*) from production.fct_transactions").fetchone()
    assert count == (36,)
    transform.discard(line.settings, built)
    assert _marts(line.settings, schema="production_audit") == audited


def test_marts_of_scores_read_no_slice_that_waits_for_its_gate(line: Any, untouched: None) -> None:
    line.load(_HISTORY, amount=Decimal("99.00"))
    waiting = line.build(_HISTORY)
    transform.publish(line.settings, line.build(_HISTORY, "scores"))
    transform.discard(line.settings, waiting)
    line.load(_HISTORY)


def test_a_faulty_day_fails_the_build_and_is_not_published(line: Any, untouched: None) -> None:
    line.load(_LAST, customer_id="nobody we know")
    with pytest.raises(dbt_runner.BuildFailed, match="fct_transactions_refers_to_dim_customers"):
        line.build(_LAST)
    # The run died without undoing; the next build of another window does it first.
    transform.publish(line.settings, line.build("2024-05-03"))
    audited = _marts(line.settings, schema="production_audit")
    assert audited == _marts(line.settings)


def test_a_build_restored_by_another_run_is_not_published(line: Any, untouched: None) -> None:
    line.load(_LAST)
    built = line.build(_LAST)
    line.build("2024-05-03")
    with pytest.raises(
        dbt_runner.BuildFailed, match=rf"{_LAST} were replaced by.*build them again"
    ):
        transform.publish(line.settings, built)


def test_a_day_is_published_whole_or_not_at_all(new_line: Callable[[], Any]) -> None:
    line = new_line()
    line.run("2024-05-01")
    line.load("2024-05-02")
    built = line.build("2024-05-02")
    seen: set[Any] = set()
    stop = threading.Event()
    query = (
        "select (select count(*) from production.fct_transactions),"
        " (select count(*) from production.fct_fraud_labels),"
        " (select sum(transaction_count) from production.rpt_fraud_daily)"
    )

    def read() -> None:
        with _connect(line.settings) as reader:
            while not stop.is_set():
                seen.add(reader.execute(query).fetchone())

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            transform.publish(line.settings, built)
            transform.publish(line.settings, built)
        finally:
            stop.set()
        reading.result()
    assert seen <= {(12, 12, 12), (24, 24, 24)}
    with _connect(line.settings) as reader:
        assert reader.execute(query).fetchone() == (24, 24, 24)
    _a_changed_contract_is_published_as_a_new_table(line, built)


def _a_changed_contract_is_published_as_a_new_table(line: Any, built: BuildResult) -> None:
    before = _marts(line.settings)
    with _connect(line.settings, "transformer") as owner:
        owner.execute("alter table production.fct_transactions drop column region")
    transform.publish(line.settings, built)
    assert _marts(line.settings) == before


def test_an_unreachable_warehouse_is_an_error_that_can_be_retried(
    line: Any, untouched: None
) -> None:
    unreachable = line.settings.warehouse.model_copy(update={"port": 1})
    settings = line.settings.model_copy(update={"warehouse": unreachable})
    built = result_of(BuildResult, f"sparkov@{_LAST}", "x")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        transform.publish(settings, built)


def test_a_failed_macro_is_a_clear_error(line: Any, untouched: None) -> None:
    with pytest.raises(dbt_runner.BuildFailed, match=r"dbt run-operation of layer core failed"):
        dbt_runner.operation(line.settings, "no_such_macro", "core", {})


def test_dbt_starts_with_as_many_flags_each_time(line: Any) -> None:
    from dbt.adapters.base import impl

    flag_counts = []
    for _ in range(3):
        dbt_runner.operation(line.settings, "clear_reports")
        flag_counts.append(len(impl.DEFAULT_BASE_BEHAVIOR_FLAGS))
    assert len(set(flag_counts)) == 1


def test_the_password_is_in_no_file_that_dbt_writes(line: Any) -> None:
    password = line.settings.warehouse.password("transformer").get_secret_value()
    written = [p for p in line.settings.state_dir.rglob("*") if p.is_file()]
    assert {"dbt.log", "partial_parse.msgpack"} <= {p.name for p in written}
    assert [p for p in written if password.encode() in p.read_bytes()] == []


def test_dbt_leaves_the_environment_as_it_was(line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "mine")
    before = subprocess.check_output(["env"])
    with pytest.raises(dbt_runner.BuildFailed):
        dbt_runner.operation(line.settings, "no_such_macro")
    assert subprocess.check_output(["env"]) == before


def test_the_documentation_is_one_page_with_the_lineage(line: Any) -> None:
    page = transform.generate_docs(line.settings).read_text()
    assert "exposure.tollgate.fraud_overview" in page
    assert "One row per payment attempt." in page


def test_the_unit_tests_of_the_marts_pass(line: Any) -> None:
    declared = [
        test["name"]
        for path in (REPO / "dbt_project" / "models").rglob("*.yml")
        for test in yaml.safe_load(path.read_text()).get("unit_tests", [])
    ]
    ran = dbt_runner.run(line.settings, "core", ["test"], {}, ["--select", "test_type:unit"])
    assert sorted(node.rpartition(".")[2] for node in ran) == sorted(declared)


def test_published_marts_have_their_indexes_and_grants(line: Any) -> None:
    reader = line.settings.warehouse.user("reader")
    with _connect(line.settings, "transformer") as owner:
        for name in _CORE + _SCORED:
            (model,) = (REPO / "dbt_project" / "models" / "marts").rglob(f"{name}.sql")
            declared = re.search(r"indexes=(\[.*?\]),\n", model.read_text(), re.DOTALL)
            indexed = (
                [entry["columns"] for entry in ast.literal_eval(declared[1])] if declared else []
            )
            found = owner.execute(
                "select indisprimary, array(select attname::text"
                " from unnest(indkey) with ordinality as k (attnum, nth)"
                " inner join pg_attribute as a on a.attrelid = indrelid and a.attnum = k.attnum"
                " order by nth) from pg_index where indrelid = %s::regclass order by 1 desc, 2",
                (f"production.{name}",),
            ).fetchall()
            key = list(TABLES[f"production.{name}"].key)
            assert found == [(True, key), *((False, columns) for columns in sorted(indexed))], name
            granted = owner.execute(
                "select privilege_type from information_schema.role_table_grants"
                " where grantee = %s and table_schema = 'production' and table_name = %s",
                (reader, name),
            ).fetchall()
            assert granted == [("SELECT",)], name


def test_the_calendar_is_whole_years(line: Any) -> None:
    with _connect(line.settings) as reader:
        rows = reader.execute("select * from production.dim_dates order by 1").fetchall()
    names = TABLES["production.dim_dates"].column_names
    assert [dict(zip(names, row, strict=True)) for row in rows] == [
        {
            "calendar_date": day,
            "calendar_year": 2024,
            "calendar_quarter": (day.month + 2) // 3,
            "calendar_month": day.month,
            "month_name": day.strftime("%B"),
            "month_start": day.replace(day=1),
            "iso_week": day.isocalendar().week,
            "week_start": day - timedelta(days=day.weekday()),
            "day_of_week": day.isoweekday(),
            "day_name": day.strftime("%A"),
            "is_weekend": day.weekday() >= 5,
        }
        for day in (date(2024, 1, 1) + timedelta(days=n) for n in range(366))
    ]
