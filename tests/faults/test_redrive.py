"""A rule is mended and its rows tried again: they come to PRODUCTION, and nothing counts twice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
import pytest

from contracts.model_tables import PAYMENT_OF_ALERT
from contracts.stage_results import ProcessResult
from contracts.stages import Stage
from contracts.windows import Window
from contracts.withdrawals import WITHDRAWN_COLUMN, Withdrawal, WithdrawalKind
from sources import registry

if TYPE_CHECKING:
    from tests.faults.conftest import Watched

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]
DAY = Window.parse("sparkov@2024-08-04")
ON = (Stage.PREPARE, Stage.LOAD, Stage.BUILD)
CATEGORY = "time_travel"


def poisoned(rows: pd.DataFrame) -> pd.DataFrame:
    """Add two payments of an unknown category, and one that is below zero too."""
    first = rows.iloc[0].to_dict()
    amounts = {"bad1": 10.01, "bad2": 20.02, "bad3": -5.0}
    bad = [{**first, "trans_num": n, "amt": a, "category": CATEGORY} for n, a in amounts.items()]
    return pd.concat([rows, pd.DataFrame(bad)], ignore_index=True)


@pytest.fixture(scope="module", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give Airflow's libraries a home that is not the user's, before a test imports them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        yield


@pytest.fixture(scope="module")
def line(new_line: Callable[[], "Watched"]) -> "Watched":
    line = new_line()
    line.deliver(DAY.span, poisoned)
    line.run(DAY, Stage.LAND, Stage.PROCESS, *ON)
    return line


def asked(run_id: str, *, dry_run: bool) -> dict[str, Any]:
    """Return what Airflow tells the tasks of a run that somebody started by hand."""
    return {
        "dag_run": SimpleNamespace(
            dag_id="redrive_quarantine",
            run_id=run_id,
            partition_key=None,
            start_date=datetime.now(UTC),
            triggering_user_name="operator",
        ),
        "params": {
            "source": DAY.source,
            "window": DAY.span,
            "reasons": [],
            "dry_run": dry_run,
        },
    }


@contextmanager
def tasks_of(line: "Watched") -> Iterator[Any]:
    """Give the tasks of the DAG this line's stores, and a declaration that knows the category."""
    from sources.store import s3_client
    from tollgate_airflow import connections, lake, raw
    from tollgate_airflow.stages import redrive

    declared = registry.SOURCES[DAY.source]
    codes = {"merchant_category": (*declared.codes["merchant_category"], CATEGORY)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.SOURCES, DAY.source, replace(declared, codes=codes))
        patch.setattr(connections, "s3", lambda role: s3_client(line.settings, role))
        patch.setattr(connections, "warehouse", line.settings.warehouse.dsn)
        for module in (lake, raw, redrive):
            patch.setattr(module, "get_settings", lambda: line.settings)
        yield redrive


def redrive(line: "Watched", run_id: str) -> None:
    """Run the tasks of the DAG one after the other."""
    from warehouse import ledger

    context = asked(run_id, dry_run=False)
    with tasks_of(line) as tasks:
        written = tasks.write(context)
        tasks.gate(context, written)
        assert tasks.publish(context, written) == DAY.key
    line.done[Stage.PROCESS] = ledger.latest(line.dsn(), ProcessResult, DAY)


def in_production(line: "Watched") -> tuple[int, Decimal]:
    query = "select count(*), sum(amount) from production.fct_transactions"
    (found,) = line.ask(query, "transformer")
    return found  # type: ignore[return-value]


def scored(line: "Watched") -> dict[str, tuple[Any, ...]]:
    """Return the rows of scores and alerts, and of those without a payment, in PRODUCTION."""
    query = (
        "select count(*), count(*) filter (where not exists (select from"
        " production.fct_transactions as p where p.event_id = s.event_id)) from production.{} as s"
    )
    names = ("fct_transaction_scores", "fct_fraud_alerts")
    return {name: line.ask(query.format(name), "transformer")[0] for name in names}


def raise_alerts(line: "Watched") -> None:
    """Record an alert of the stream on each payment of STAGING."""
    same = ", ".join(PAYMENT_OF_ALERT)
    with psycopg.connect(line.dsn()) as loader:
        loader.execute(
            f"insert into staging.stream_alerts ({same}, rule_codes, rules_version, risk_level,"
            f" decision, reason_codes, reason_sentences, detected_at, recorded_at, run_id)"
            f" select {same},"
            " '{ODD_HOUR}', 1, 'low', 'review', '{}', '{}', event_at, event_at, 'run'"
            " from staging.transactions on conflict do nothing".encode()
        )


def test_a_dry_run_reports_the_outcome_and_writes_nothing(line: "Watched") -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    before, context = line.stores(), asked("dry", dry_run=True)
    with tasks_of(line) as tasks:
        said = tasks.rehearse(context)
        with pytest.raises(AirflowSkipException, match="nothing is written"):
            tasks.write(context)
    assert said == [
        "negative_amount, unknown_code: 1 row would be refused again (negative_amount),"
        " worth -5.00 USD (in quarantine -5.00 USD)",
        "unknown_code: 2 rows would pass, worth 30.03 USD (in quarantine 30.03 USD)",
    ]
    assert line.stores() == before


def test_rows_that_pass_a_redrive_reach_production(line: "Watched") -> None:
    """Slow: a redrive, then prepare, load and build of the day."""
    rows, amount = in_production(line)

    redrive(line, "one")
    line.run(DAY, *ON)

    assert in_production(line) == (rows + 2, amount + Decimal("30.03"))
    features = line.ask("select event_id from staging.features where event_id like 'bad%'")
    assert sorted(features) == [("bad1",), ("bad2",)]
    assert line.ask("select event_id, reasons, redrive_count from staging.quarantine") == [
        ("bad3", ["negative_amount"], 1)
    ]


def test_the_run_marts_record_the_operator_and_count_rows_once(line: "Watched") -> None:
    from warehouse.transform import publish_recent

    publish_recent(line.settings, "operations", "operations")
    rows = line.ask(
        "select stage, started_by, rows_in, rows_out, rows_quarantined, amount_in, amount_out"
        " from production.fct_runs where stage = 'redrive'",
        "transformer",
    )
    assert rows == [("redrive", "operator", 3, 2, 1, Decimal("25.03"), Decimal("30.03"))]
    last = line.ask(
        "select stage, rows_in, amount_in, rows_out, amount_out, rows_quarantined from ("
        " select *, rank() over (partition by stage, window_key order by finished_at desc) as age"
        " from production.fct_runs) as runs where age = 1",
        "transformer",
    )
    flows = {
        stage: ((rows_in, came), (rows_out, went))
        for stage, rows_in, came, rows_out, went, _ in last
    }
    assert flows["land"][1] == flows["process"][0]
    for stage in ("process", "prepare", "load"):
        assert flows[stage][1] == in_production(line), stage
    assert [row[-1] for row in last if row[0] == "process"] == [1]


def test_a_second_redrive_changes_nothing_in_production(line: "Watched") -> None:
    """Slow: a redrive, then prepare, load and build of the day."""
    from airflow.sdk.exceptions import AirflowSkipException

    before, balances = line.content(), line.done[Stage.PROCESS].balances

    with tasks_of(line) as tasks, pytest.raises(AirflowSkipException, match="was published"):
        tasks.write(asked("one", dry_run=False))
    redrive(line, "two")
    line.run(DAY, *ON)

    assert line.done[Stage.PROCESS].balances == balances
    after = line.content()
    assert {name for name in before if before[name] != after[name]} == {
        "processed.quarantine",
        "staging.quarantine",
        "production.fct_quarantined_records",
    }, "only the tries of what fails are counted"


@pytest.mark.soak
@pytest.mark.parametrize("kind", [WithdrawalKind.CUSTOMER, WithdrawalKind.DELIVERY])
def test_what_is_withdrawn_leaves_production_and_comes_back(
    line: "Watched", kind: WithdrawalKind
) -> None:
    """Each payment has an alert of the stream too.

    Slow: three runs of the day from process to score.
    """
    from warehouse import withdrawals

    raise_alerts(line)
    # Two rows that were quarantined when the fixture ran are accepted by now.
    with tasks_of(line):
        line.run(DAY, Stage.PROCESS, *ON, Stage.SCORE)
    column = WITHDRAWN_COLUMN[kind]
    (largest,) = line.ask(
        f"select {column}, count(*), sum(amount) from staging.transactions"
        " group by 1 order by 2 desc limit 1"
    )
    key, count, money = largest
    ((raised, leaving),) = line.ask(
        f"select count(*), count(*) filter (where p.{column} = '{key}')"
        " from production.fct_fraud_alerts join staging.transactions as p using (event_id)",
        "transformer",
    )
    withdrawal = Withdrawal(DAY.source, kind, key)
    before, (rows, amount) = line.content(), in_production(line)
    found = withdrawals.concerned(line.dsn(), withdrawal)
    assert (found.amounts, found.windows) == ({"USD": (count, money)}, (DAY,))

    withdrawals.record(line.dsn(), withdrawal, "a test of the bank", "operator")
    with tasks_of(line):
        line.run(DAY, Stage.PROCESS, *ON, Stage.SCORE)

    assert in_production(line) == (rows - count, amount - money if rows > count else None)
    assert raised > 0
    assert scored(line) == {
        "fct_transaction_scores": (rows - count, 0),
        "fct_fraud_alerts": (raised - leaving, 0),
    }
    for table in ("staging.customers", "staging.merchants", "staging.labels", "staging.features"):
        ids = {"staging.customers": "customer_id", "staging.merchants": "counterparty_id"}
        one = ids.get(table, "event_id")
        (strangers,) = line.ask(
            f"select count(*) from {table} as t where not exists"
            f" (select from staging.transactions as p where p.{one} = t.{one})"
        )
        assert strangers == (0,), table
    if kind is WithdrawalKind.CUSTOMER:
        dimension = f"select count(*) from production.dim_customers where customer_id = '{key}'"
        assert line.ask(dimension, "transformer") == [(0,)]
    refused = "select count(*), sum(amount) from staging.quarantine where reasons = '{withdrawn}'"
    assert line.ask(refused) == [(count, money)]
    assert withdrawals.quarantined(line.dsn(), DAY.source) == (DAY,)

    withdrawals.undo(line.dsn(), withdrawal, "operator")
    with tasks_of(line):
        line.run(DAY, Stage.PROCESS, *ON, Stage.SCORE)
    assert line.content() == before
