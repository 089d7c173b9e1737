"""Services that die in mid-work: nothing half done is seen, and running again finishes.

The tests are one story in the order below, on one day after another.
"""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import SecretStr

from contracts.settings import S3Role, Settings
from contracts.stage_results import ProcessResult
from contracts.stages import Stage
from contracts.windows import Window
from sources.errors import StoreRefusedError
from tests.instances import own_instance
from tests.warehouses import Warehouses

if TYPE_CHECKING:
    from tests.faults.conftest import Watched

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]
HISTORY = Window.parse("sparkov@2024-08-05")
DAY = Window.parse("sparkov@2024-08-06")
TWICE = Window.parse("sparkov@2024-08-07")


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouses]:
    """Make warehouses on a separate Postgres, so that killing it harms no lake."""
    from embedded.platform import up

    with own_instance(tmp_path_factory.mktemp("own"), ports=40) as settings:
        up(settings, ["postgres"])
        yield Warehouses(settings, tmp_path_factory.mktemp("own_warehouses"))


@pytest.fixture(scope="module")
def line(new_line: Callable[[], "Watched"]) -> "Watched":
    """Return a line that holds a day, up to STAGING."""
    made = new_line()
    made.run(HISTORY, Stage.LAND, Stage.PROCESS, Stage.PREPARE, Stage.LOAD)
    return made


def reckoned(line: "Watched", *windows: Window) -> tuple[int, Decimal]:
    """Count payments and money of days with pandas alone."""
    amounts = pd.concat(
        [pd.read_parquet(line.deliveries / f"{day.span}.parquet")["amt"] for day in windows]
    )
    return len(amounts), sum((Decimal(str(one)) for one in amounts), Decimal(0))


def processed(line: "Watched") -> tuple[int, Decimal]:
    """Count payments and money that readers of Processed see."""
    from lake.catalog import open_catalog

    catalog = open_catalog(line.settings, "reader")
    amounts = catalog.load_table("processed.transactions").scan().to_arrow()["amount"].to_pylist()
    return len(amounts), sum(amounts, Decimal(0))


def wrong_key(settings: Settings, role: S3Role) -> Settings:
    keys = {**settings.s3.secret_keys, role: SecretStr("wrong")}
    return settings.model_copy(update={"s3": settings.s3.model_copy(update={"secret_keys": keys})})


def test_a_killed_driver_changes_nothing(line: "Watched", monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow: the driver starts again."""
    from spark.jobs import batch
    from spark.session import DriverLostError, outage_explained

    line.run(DAY, Stage.LAND)
    before = line.published()
    killed: list[int] = []
    first, write = threading.Lock(), batch.write

    def write_and_kill(*given: Any) -> None:
        write(*given)
        if first.acquire(blocking=False):
            killed.append(line.kill("spark"))

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write", write_and_kill)
        lost = pytest.raises(DriverLostError, match=r"lost during the job.*run the task again")
        with lost, outage_explained():
            line.run(DAY, Stage.PROCESS)
    line.await_restart("spark", *killed)
    assert line.published() == before
    assert line.stores() != before, "it died before it wrote"


def test_the_session_after_a_killed_driver_is_new(line: "Watched") -> None:
    """Slow: the driver starts again."""
    from spark.session import session

    assert session(line.settings).range(1).count() == 1
    # Nothing asks the server before it is back, so that the client sees nothing of its death.
    line.await_restart("spark", line.kill("spark"))
    assert session(line.settings).range(3).count() == 3


def test_the_session_after_a_lost_connection_is_the_registered_one(
    line: "Watched",
) -> None:
    """Great Expectations asks PySpark for its session; a lost one is never garbage collected.

    Slow: the driver starts again.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.session import SparkSession

    from spark.session import session

    lost = session(line.settings)
    line.await_restart("spark", line.kill("spark"))
    with pytest.raises(
        PySparkException, match=r"NO_ACTIVE_SESSION|SESSION_CHANGED|server side session identifier"
    ):
        lost.range(1).collect()
    renewed = session(line.settings)
    assert renewed.range(3).count() == 3
    assert SparkSession.builder.getOrCreate() is renewed
    assert session(line.settings) is renewed
    kept = weakref.ref(lost)
    del lost
    gc.collect()
    assert kept() is not None, "PySpark may hang when the garbage collector closes a session"


def test_a_retry_after_a_killed_driver_completes(line: "Watched") -> None:
    """The driver is not killed again below, because its first jobs take three times as long.

    Slow: they run before Java has compiled anything.
    """
    line.run(DAY, Stage.PROCESS, Stage.PREPARE)
    assert processed(line) == reckoned(line, HISTORY, DAY)


def test_a_killed_postgres_changes_nothing_and_a_retry_completes(
    line: "Watched", monkeypatch: pytest.MonkeyPatch
) -> None:
    from lake import read as lake
    from warehouse.errors import WarehouseLostError

    before = line.stores()
    killed: list[int] = []
    read = lake.read_dates

    def read_and_kill(catalog: Any, table: str, *rest: Any, **given: Any) -> pa.RecordBatchReader:
        reader = read(catalog, table, *rest, **given)

        def batches() -> Any:
            for batch in reader:
                if table == "processed.labels":
                    killed.append(line.kill("postgres"))
                yield batch

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    with monkeypatch.context() as patch:
        patch.setattr(lake, "read_dates", read_and_kill)
        with pytest.raises(WarehouseLostError, match=r"lost while load\.stage ran.*task again"):
            line.run(DAY, Stage.LOAD)
    line.await_restart("postgres", *killed)
    assert line.stores() == before

    line.run(DAY, Stage.LOAD)
    assert line.ask("select count(*), sum(amount) from staging.transactions") == [
        reckoned(line, HISTORY, DAY)
    ]


@pytest.mark.parametrize(
    ("role", "stage"),
    [("lander", Stage.LAND), ("processor", Stage.PROCESS), ("reader", Stage.LOAD)],
)
def test_a_wrong_s3_key_is_a_clear_error_and_changes_nothing(
    line: "Watched", monkeypatch: pytest.MonkeyPatch, role: S3Role, stage: Stage
) -> None:
    """Slow: each stage runs once with a wrong key and once with the right one."""
    before = line.stores()
    with monkeypatch.context() as patch:
        patch.setattr(line.direct, "settings", wrong_key(line.settings, role))
        with pytest.raises(StoreRefusedError, match=r"refused .*check the .*key"):
            line.run(DAY, stage)
    assert line.stores() == before

    line.run(DAY, stage)


@pytest.mark.soak
def test_two_concurrent_runs_of_a_window_store_it_once(line: "Watched") -> None:
    """Slow: the stage runs four times."""
    from lake.publish import PublishConflictError, publish
    from spark.session import session

    line.run(DAY, Stage.LAND, Stage.PROCESS)
    line.run(TWICE, Stage.LAND)
    spark = session(line.settings)
    together = threading.Barrier(2)

    def run(number: int) -> ProcessResult:
        from spark.jobs.process import process

        together.wait()
        return process(
            spark,
            line.direct.manifests(line.done[Stage.LAND]),
            TWICE,
            run_id=f"twice_{number}",
            raw_bucket=line.settings.s3.raw_bucket,
            key_file=line.settings.pseudonym_key_file,
        )

    def show(result: ProcessResult) -> Exception | None:
        together.wait()
        try:
            publish(spark, result)
        except PublishConflictError as conflict:
            return conflict
        return None

    with ThreadPoolExecutor(2) as pool:
        written = list(pool.map(run, (1, 2)))
        conflicts = [one for one in pool.map(show, written) if one]
    assert conflicts, "both may not win"
    assert "run the stage process again" in str(conflicts[0])

    line.run(TWICE, Stage.PROCESS)
    assert processed(line) == reckoned(line, HISTORY, DAY, TWICE)
