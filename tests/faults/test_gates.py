"""Each gate closes once on the same day: nothing behind it changes, and running again finishes.

The tests are one story in the order below. In the end the stores hold what a run that never failed
has put there.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest

from contracts.results import GateFailed
from contracts.stages import Gate, Stage
from contracts.windows import Window

if TYPE_CHECKING:
    from tests.faults.conftest import Watched

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]
HISTORY = Window.parse("sparkov@2024-08-01--2024-08-02")
DAY = Window.parse("sparkov@2024-08-03")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 51234\n"


@pytest.fixture(scope="module")
def unfailed(new_line: Callable[[], "Watched"]) -> dict[str, Any]:
    """Return what all stores hold after a run in which nothing failed."""
    line = new_line()
    line.direct.window(Window(DAY.source, HISTORY.start, DAY.end))
    return line.content()


@pytest.fixture(scope="module")
def line(new_line: Callable[[], "Watched"], unfailed: dict[str, Any]) -> "Watched":
    """Return a line that holds the history."""
    made = new_line()
    made.direct.window(HISTORY)
    return made


def refused(line: "Watched", gate: Gate, check: str, *stages: Stage) -> None:
    """Run stages up to a gate that closes, and prove that no store has changed."""
    before = line.stores()
    assert None not in before.values(), "there is something to spoil in each store"
    with pytest.raises(GateFailed) as closed:
        line.run(DAY, *stages)
    assert line.stores() == before
    said = str(closed.value)
    assert said.startswith(f"gate {gate} closed on window {DAY.key}: ")
    assert check in said
    assert "Report: " in said
    results = f"from staging.gate_results where gate = '{gate}' and window_key = '{DAY.key}'"
    latest = f"checked_at = (select max(checked_at) {results})"
    assert (False,) in line.ask(f"select distinct is_passed {results} and {latest}", "loader")


def spoil(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn) as connection:
        assert connection.execute(statement.encode()).rowcount > 0


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-500])


def _empty(file: Path) -> None:
    # Through Arrow: pandas would forget the types of columns without a value.
    pq.write_table(pq.read_table(file).slice(0, 0), file)


def _rewrite(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], Any]:
    return lambda file: change(pd.read_parquet(file)).to_parquet(file, index=False)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        pytest.param(_truncate, "objects.problem.none", id="truncated file"),
        pytest.param(lambda file: file.write_bytes(POINTER), "pointer", id="pointer text"),
        pytest.param(
            _rewrite(lambda rows: rows.drop(columns="amt")), "missing amt", id="missing column"
        ),
        pytest.param(
            _rewrite(lambda rows: rows.rename(columns={"amt": "amount"})),
            "missing amt; not declared amount",
            id="renamed column",
        ),
        pytest.param(
            _rewrite(lambda rows: rows.assign(amt=True)),
            "amt is boolean instead of double or string",
            id="wrong type",
        ),
        pytest.param(_empty, "holds no rows", id="no row"),
        pytest.param(_rewrite(lambda rows: rows.head(40)), "rows_missing=10", id="part of a day"),
    ],
)
def test_gate_raw(line: "Watched", fault: Callable[[Path], Any], check: str) -> None:
    fault(line.deliver(DAY.span))

    refused(line, Gate.RAW, check, Stage.LAND)

    line.deliver(DAY.span)
    line.run(DAY, Stage.LAND)


def test_gate_processed_on_a_delivery_of_too_many_bad_rows(line: "Watched") -> None:
    """Slow: the stage runs up to its gate."""

    def tenth_negative(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(amt=rows["amt"].where(rows.index % 10 > 0, -rows["amt"]))

    line.deliver(DAY.span, tenth_negative)

    share = "10.1 % of 616 rows refused, limit 5 %: 62 negative_amount, first in row 0 of sparkov/"
    refused(line, Gate.PROCESSED, share, Stage.LAND, Stage.PROCESS)

    line.deliver(DAY.span)
    line.run(DAY, Stage.LAND)


def test_gate_processed_on_a_job_that_adds_a_cent(
    line: "Watched", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow: the stage runs twice, with its gate."""
    from pyspark.sql import functions as F

    from spark.jobs import batch

    write = batch.write

    def a_cent_more(df: Any, table: str, *rest: Any) -> None:
        if table == "processed.transactions":
            df = df.withColumn("amount", F.col("amount") + F.lit("0.01").cast("decimal(20,4)"))
        write(df, table, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write", a_cent_more)
        refused(line, Gate.PROCESSED, "amount_in_table.equals_amount_out", Stage.PROCESS)

    line.run(DAY, Stage.PROCESS)


def test_gate_sandbox(line: "Watched", monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow: the stage runs twice, with its gate."""
    from pyspark.sql import functions as F

    from spark.jobs import prepare

    write = prepare.write

    def an_hour_late(df: Any, table: str, *rest: Any) -> None:
        if table == "sandbox.features":
            df = df.withColumn("hour_of_day", F.col("hour_of_day") + 1)
        write(df, table, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "write", an_hour_late)
        refused(line, Gate.SANDBOX, "features.hour_of_day.between", Stage.PREPARE)

    line.run(DAY, Stage.PREPARE)


def test_gate_staging(line: "Watched", monkeypatch: pytest.MonkeyPatch) -> None:
    from warehouse import load

    stage = load.stage

    def tampered(*given: Any) -> Any:
        staged = stage(*given)
        beside = staged.beside["staging.transactions"]
        spoil(line.dsn(), f"update {beside} set amount = amount + 0.01 where raw_position = 7")
        return staged

    with monkeypatch.context() as patch:
        patch.setattr(load, "stage", tampered)
        refused(line, Gate.STAGING, "transactions.lake.amount.equals_amount_before", Stage.LOAD)

    line.run(DAY, Stage.LOAD)


def test_gate_production(line: "Watched", monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow: the build runs twice, with its gate."""
    from warehouse import transform

    build = transform.build

    def tampered(*given: Any, **named: Any) -> Any:
        built = build(*given, **named)
        lost = "delete from production_audit.fct_transactions"
        spoil(line.dsn("transformer"), f"{lost} where event_date = '{DAY.span}' and amount < 5")
        return built

    audited = "select count(*), sum(amount) from production_audit.fct_transactions"
    before = line.ask(audited, "transformer")
    with monkeypatch.context() as patch:
        patch.setattr(transform, "build", tampered)
        refused(
            line, Gate.PRODUCTION, "fct_transactions.staging.rows.equals_rows_before", Stage.BUILD
        )
    assert line.ask(audited, "transformer") == before

    line.run(DAY, Stage.BUILD)


def test_gate_scores(line: "Watched", monkeypatch: pytest.MonkeyPatch) -> None:
    from warehouse import scores

    stage_scores = scores.stage_scores

    def tampered(*given: Any) -> Any:
        staged = stage_scores(*given)
        spoil(line.dsn(), f"update {staged.beside['staging.scores']} set score = 0.5")
        return staged

    with monkeypatch.context() as patch:
        patch.setattr(scores, "stage_scores", tampered)
        refused(line, Gate.SCORES, "scores.batch.distinct_scores.not_constant", Stage.SCORE)

    line.run(DAY, Stage.SCORE)


def test_the_final_state_equals_that_without_a_closed_gate(
    line: "Watched", unfailed: dict[str, Any]
) -> None:
    assert line.content() == unfailed
