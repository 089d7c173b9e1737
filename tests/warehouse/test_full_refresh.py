"""Full refresh: the same rows, all or nothing, whatever the old columns."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from contracts.results import CheckResult, GateFailed, GateResult
from contracts.settings import Settings
from contracts.stage_results import BuildResult
from contracts.tables import TABLES, zone
from expectations import full_refresh as command
from expectations.gates import gate_production
from warehouse import dbt_runner, full_refresh, transform
from warehouse.dbt_runner import BuildFailed

pytestmark = pytest.mark.postgres
_MARTS = tuple(table.short_name for table in zone("production"))
_SHOP = "paysim1@2024-05-01"


def _connect(line: Any, role: Any) -> psycopg.Connection:
    return psycopg.connect(line.settings.warehouse.dsn(role), autocommit=True)


def _marts(line: Any, schema: str = "production") -> dict[str, list[Any]]:
    role = "reader" if schema == "production" else "transformer"
    with _connect(line, role) as connection:
        return {
            name: sorted(
                connection.execute(f"select * from {schema}.{name}".encode()).fetchall(), key=repr
            )
            for name in _MARTS
        }


def _gate_that_passes(dsn: str, built: BuildResult, state_dir: Path) -> GateResult:
    """Return a passing gate result; gate production would refuse the identifiers of tests."""
    check = CheckResult("dbt", "production", "critical", True, expected="", observed="")
    return GateResult("production", built.window, built.run_id, (check,))


def _rebuild(line: Any, gate: Any = _gate_that_passes) -> list[str]:
    said: list[str] = []
    full_refresh.rebuild(line.settings, full_refresh.plan(line.settings), said.append, gate)
    return said


@pytest.fixture(scope="module")
def line(new_line: Callable[[], Any], payment_rows: Callable[..., Any]) -> Any:
    """Two sources: one has three days, of which one came late, one is scored and one has an alert.

    The alert is of the stream. The other source has no scores.
    """
    made = new_line()
    refused = {"event_id": None, "window_key": "sparkov@2024-05-01"}
    made.lake.refused = payment_rows(
        TABLES["processed.quarantine"], [date(2024, 5, 1)], 1, **refused
    )
    for window in ("2024-05-01", "2024-05-03", "2024-05-02"):
        made.run(window)
    made.score("2024-05-01")
    made.alert(date(2024, 5, 2), 1)
    transform.publish(made.settings, made.build("2024-05-01--2024-05-02", "scores"))
    made.run(_SHOP)
    return made


@pytest.fixture
def untouched(line: Any) -> Iterator[None]:
    """Prove that a test leaves what readers see, and what waits for its gate, as they were."""
    before = _marts(line)
    yield
    assert _marts(line) == before
    line.build("2024-05-03")
    assert _marts(line, "production_audit") == before


def test_a_full_refresh_gives_the_same_marts(line: Any, untouched: None) -> None:
    said = _rebuild(line)
    assert [text.rpartition(" in ")[0] for text in said[:4]] == [
        "paysim1: core of 1 dates",
        "sparkov: core of 3 dates",
        "paysim1: scores of 0 dates",
        "sparkov: scores of 2 dates",
    ]
    assert said[4:] == [
        "gate production open on paysim1@2024-05-01",
        "gate production open on sparkov@2024-05-01--2024-05-03",
    ]
    with _connect(line, "transformer") as owner:
        waiting = owner.execute(
            "select from production_audit.layer_state where unpublished is not null or layer = %s",
            (transform.REBUILD,),
        )
        assert waiting.fetchall() == []


def test_marts_of_another_version_are_replaced_and_an_earlier_build_is_not_published(
    line: Any, untouched: None
) -> None:
    built = line.build("2024-05-03")
    with _connect(line, "transformer") as owner:
        for schema in ("production", "production_audit"):
            owner.execute(f"alter table {schema}.rpt_fraud_daily drop column amount".encode())
            owner.execute(f"drop table {schema}.rpt_fraud_rolling".encode())
    with pytest.raises(BuildFailed, match="rpt_fraud_daily have other columns than declared"):
        line.build("2024-05-03")
    planned = full_refresh.plan(line.settings)
    assert planned.outdated == ("rpt_fraud_daily",)
    assert "paysim1: 1 dates of payments and 0 of scores, as known on 2024-05-01" in str(planned)
    _rebuild(line)
    with _connect(line, "transformer") as owner:
        left = owner.execute("select relname from pg_class where relname like '%\\_\\_whole'")
        assert left.fetchall() == []
        keys = owner.execute(
            "select count(*) from pg_constraint where contype = 'p'"
            " and connamespace = 'production'::regnamespace"
        ).fetchone()
    assert keys == (len(_MARTS),)
    with pytest.raises(BuildFailed, match="replaced by another run or a full refresh"):
        transform.publish(line.settings, built)
    transform.publish(line.settings, line.build("2024-05-03"))


def test_a_refresh_refused_by_its_gate_is_rolled_back(line: Any, untouched: None) -> None:
    with pytest.raises(GateFailed, match="hexadecimal digits"):
        _rebuild(line, gate_production)


def test_a_killed_refresh_is_rolled_back_by_the_next_build(line: Any, untouched: None) -> None:
    full_refresh._begin(line.settings)
    dbt_runner.operation(line.settings, "clear_audit")


def test_a_dry_run_changes_nothing_and_an_empty_warehouse_says_so(
    line: Any,
    untouched: None,
    new_warehouse: Callable[[], Settings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "get_settings", lambda: line.settings)
    assert command.main(["--dry-run"]) == 0
    assert "sparkov: 3 dates of payments and 2 of scores" in capsys.readouterr().out
    empty = new_warehouse()
    monkeypatch.setattr(command, "get_settings", lambda: empty)
    assert command.main([]) == 1
    assert capsys.readouterr().err == "PRODUCTION has no payments yet: run all DAGs once.\n"
