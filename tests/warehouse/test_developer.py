"""Models built by hand: by the dbt command and the developer's role, in the developer's schema."""

import json
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.warehouse.dbt_command import developer_shell, run_dbt

pytestmark = [pytest.mark.postgres, pytest.mark.random_order(disabled=True)]

_DAYS = (date(2024, 5, 1), date(2024, 5, 2), date(2024, 5, 3))
_WINDOW = f"{_DAYS[0]}--{_DAYS[-1]}"
_ROWS = 12
_Dbt = Callable[..., str]


@pytest.fixture(scope="module")
def line(new_line: Callable[[], Any]) -> Any:
    """A line that has published three days, and scored them."""
    line = new_line()
    line.run(_WINDOW)
    line.score(_WINDOW)
    return line


@pytest.fixture(scope="module")
def shell(line: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The developer's shell."""
    return developer_shell(line.settings, tmp_path_factory.mktemp("dbt"))


@pytest.fixture(scope="module")
def dbt(shell: dict[str, str]) -> _Dbt:
    """The dbt command in that shell."""
    return partial(run_dbt, shell)


@pytest.fixture
def developer(line: Any) -> Any:
    """A connection of the developer."""
    with psycopg.connect(line.settings.warehouse.dsn("developer"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def schema(line: Any) -> str:
    """The developer's schema."""
    return str(line.settings.warehouse.developer_schema)


@pytest.fixture
def untouched(line: Any) -> Any:
    """Assert that no table of PRODUCTION, or waiting for its gate, has changed after the test."""

    def content() -> dict[str, Any]:
        login = line.settings.warehouse.dsn("transformer")
        with psycopg.connect(login, autocommit=True) as connection:
            names = connection.execute(
                "select schemaname || '.' || tablename from pg_tables"
                " where schemaname like 'production%' order by 1"
            ).fetchall()
            query = "select count(*), sum(hashtextextended(t::text, 0)) from {} as t"
            return {name: connection.execute(query.format(name)).fetchone() for (name,) in names}

    before = content()
    assert before["production.fct_transactions"][0] == len(_DAYS) * _ROWS
    yield
    assert content() == before


def _dates(connection: psycopg.Connection, table: str) -> dict[date, int]:
    query = f"select event_date, count(*) from {table} group by 1 order by 1"
    return dict(connection.execute(query.encode()).fetchall())


def test_a_plain_build_makes_every_model_of_the_newest_day(
    untouched: None, developer: psycopg.Connection, schema: str, dbt: _Dbt
) -> None:
    dbt("build")
    for table in ("fct_transactions", "fct_fraud_labels", "fct_transaction_scores"):
        assert _dates(developer, f"{schema}.{table}") == {_DAYS[-1]: _ROWS}, table
    # What is known at the end of that day, as the line would have it.
    (period,) = developer.execute(
        f"select distinct period_start, max(as_of_date) from {schema}.rpt_fraud_overview"
        " where period_type = 'day' group by 1".encode()
    ).fetchall()
    assert period == (_DAYS[-1], _DAYS[-1])


def test_the_days_and_the_last_of_them_can_be_chosen(
    untouched: None, developer: psycopg.Connection, schema: str, dbt: _Dbt
) -> None:
    variables = f"{{developer_days: 2, as_of: {_DAYS[1]}}}"
    dbt("run", "--select", "+fct_transactions", "--vars", variables)
    assert _dates(developer, f"{schema}.fct_transactions") == dict.fromkeys(_DAYS[:2], _ROWS)


def test_a_developer_can_build_the_slices_of_the_pipeline(
    untouched: None, developer: psycopg.Connection, schema: str, dbt: _Dbt
) -> None:
    for days in (_DAYS[:2], _DAYS[2:]):
        first, last = days[0].isoformat(), days[-1].isoformat()
        window = {"dates": [[first, last]], "known_from": first, "as_of": last}
        variables = json.dumps({"source": "sparkov", **window})
        selection = ("--select", "+rpt_fraud_daily", "--exclude-resource-type", "unit_test")
        dbt("build", *selection, "--vars", variables)
        assert _dates(developer, f"{schema}.fct_transactions")[days[-1]] == _ROWS
    assert _dates(developer, f"{schema}.fct_transactions") == dict.fromkeys(_DAYS, _ROWS)


def test_the_documentation_is_generated(untouched: None, dbt: _Dbt, shell: dict[str, str]) -> None:
    dbt("docs", "generate")
    catalog = json.loads(Path(shell["DBT_TARGET_PATH"], "catalog.json").read_text())
    assert "model.tollgate.fct_transactions" in catalog["nodes"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "--select", "fct_fraud_labels", "--target", "production"),
        ("run-operation", "publish", "--args", "{layer: core}", "--vars", "{reader: public}"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_dbt_writes_nothing_elsewhere(
    untouched: None, dbt: _Dbt, arguments: tuple[str, ...]
) -> None:
    assert "permission denied" in dbt(*arguments, succeeds=False)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from production.fct_transactions",
        "truncate production.fct_transactions",
        "drop table production.fct_transactions",
        "create table production.mine (x int)",
        "create table production_audit.mine (x int)",
        "select * from production_audit.fct_transactions",
        "create table production_as_known.mine (x int)",
        "delete from staging.transactions",
        "create view staging.mine as select 1 as x",
        "create table public.mine (x int)",
        "create schema production_of_mine",
        "set role warehouse_transformer",
    ],
)
def test_the_role_may_write_nothing_elsewhere(
    untouched: None, developer: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        developer.execute(statement.encode())


def test_the_role_reads_staging_and_production(developer: psycopg.Connection) -> None:
    for table in ("staging.transactions", "staging.run_ledger", "production.fct_transactions"):
        developer.execute(f"select count(*) from {table}".encode())


def test_dbt_leaves_no_password_in_what_it_writes(line: Any, shell: dict[str, str]) -> None:
    password = line.settings.warehouse.password("developer").get_secret_value().encode()
    folder = Path(shell["DBT_TARGET_PATH"]).parent
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {"dbt.log", "partial_parse.msgpack"} <= {path.name for path in written}
    assert [path for path in written if password in path.read_bytes()] == []


def test_no_other_secret_of_the_warehouse_is_exported(line: Any, shell: dict[str, str]) -> None:
    passwords = {
        role: line.settings.warehouse.password(role).get_secret_value()
        for role in ("loader", "transformer", "reader", "developer")
    }
    exported = {role for role, password in passwords.items() if password in shell.values()}
    assert exported == {"developer"}
