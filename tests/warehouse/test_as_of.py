"""Reports as known on a past date: what was published then, whatever came since."""

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest

from warehouse import as_of, transform

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("payment_marts")]
THEN, NOW = date(2024, 5, 3), date(2024, 5, 6)


def select(line: Any, query: str, role: Any = "reader") -> list[tuple[Any, ...]]:
    with psycopg.connect(line.settings.warehouse.dsn(role)) as connection:
        return connection.execute(query.encode()).fetchall()


def reports(line: Any, schema: str = "production") -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: sorted(select(line, f"select * from {schema}.{name}"), key=repr)
        for name in as_of.REPORTS
    }


@pytest.fixture(scope="module")
def published() -> dict[date, Any]:
    """What readers saw on each date, filled as the line goes on."""
    return {}


@pytest.fixture(scope="module")
def line(new_line: Callable[[], Any], published: dict[date, Any]) -> Any:
    """A line whose oldest dates have matured, with payments delivered days after they happened."""
    made = new_line()
    made.run(f"2024-02-20--{THEN}")
    published[THEN] = reports(made)
    made.run(f"2024-05-04--{NOW}")
    late = {"raw_object": f"sparkov/transactions/{NOW}/late.parquet"}
    made.lake.traits = {"sparkov": lambda number: late if number >= 12 else {}}
    made.run("2024-05-02", rows={date(2024, 5, 2): 15})
    published[NOW] = reports(made)
    return made


def test_reports_as_of_an_old_date_equal_those_published_then(
    line: Any, published: dict[date, Any]
) -> None:
    changed = [name for name in as_of.REPORTS if published[NOW][name] != published[THEN][name]]
    assert changed == list(as_of.REPORTS)
    late = (
        "select sum(transaction_count), max(as_of_date) from {}.rpt_fraud_patterns"
        " where event_date = '2024-05-02'"
    )
    assert select(line, late.format("production")) == [(15, NOW)]
    assert as_of.rebuild(line.settings, THEN) == "sparkov"
    replayed = reports(line, as_of.SCHEMA)
    for name in as_of.REPORTS:
        assert replayed[name] == published[THEN][name], name
    assert select(line, late.format(as_of.SCHEMA)) == [(12, THEN)]
    assert reports(line) == published[NOW], "PRODUCTION stays as it is"


def test_later_labels_and_payments_change_no_earlier_as_of_figure(
    line: Any, published: dict[date, Any]
) -> None:
    with psycopg.connect(line.settings.warehouse.dsn("loader")) as loader:
        added = loader.execute(
            "insert into staging.labels select event_id, source_system, event_date, not is_fraud,"
            " scenario, 'analyst', '2024-05-07 00:00:00+00', raw_object from staging.labels"
            " where event_date in ('2024-02-21', '2024-05-02') returning 1"
        ).fetchall()
    assert len(added) == 27
    for day in ("2024-02-21", "2024-05-02"):
        transform.publish(line.settings, line.build(day))
    assert reports(line) == published[NOW], "not known yet"
    line.run("2024-05-07")
    fraud_count = (
        "select sum(known_fraud_count) from production.rpt_fraud_daily where event_date = "
    )
    assert select(line, f"{fraud_count} '2024-05-02'") == [(12,)]
    as_of.rebuild(line.settings, NOW, "sparkov")
    replayed = reports(line, as_of.SCHEMA)
    for name in as_of.REPORTS:
        assert replayed[name] == published[NOW][name], name


def test_one_report_is_built_with_its_parents_and_others_are_dropped(line: Any) -> None:
    as_of.rebuild(line.settings, THEN, reports=["rpt_fraud_overview"])
    tables = select(
        line,
        "select table_name from information_schema.tables"
        f" where table_schema = '{as_of.SCHEMA}' order by 1",
    )
    assert tables == [("rpt_fraud_overview",), ("rpt_fraud_patterns",)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["2024-05-30"], "sparkov is published until 2024-05-"),
        (["2024-05-01", "--source", "handbook"], "'handbook' is not published: the published"),
        (["2024-05-01", "--report", "rpt_nothing"], "There is no report rpt_nothing: the"),
    ],
)
def test_an_invalid_request_is_a_clear_error(
    line: Any,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(as_of, "get_settings", lambda: line.settings)
    assert as_of.main(arguments) == 1
    assert said in capsys.readouterr().err


def test_help_and_a_text_that_is_no_date(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in ((["--help"], 0), (["May"], 2)):
        with pytest.raises(SystemExit) as ended:
            as_of.main(arguments)
        assert ended.value.code == code
    printed = capsys.readouterr()
    assert "PRODUCTION does not change" in " ".join(printed.out.split())
    assert "'May' is not a date" in printed.err
