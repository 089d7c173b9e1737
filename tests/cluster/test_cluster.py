"""The same jobs on a standalone cluster: same tables, and a worker that dies in mid-job is no loss.

The cluster runs on a separate instance next to a local[*] server, with the same lake.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from contracts.settings import REPO, Settings
from contracts.stage_results import StageResult
from contracts.tables import zone
from contracts.windows import Window
from embedded import platform
from embedded.services.spark_cluster import WORKERS, remote
from embedded.supervisor import session_members
from lake.catalog import open_catalog
from sources.discover import deliveries
from sources.land import land
from sources.manifest import Manifest, find_latest
from sources.store import s3_client
from tests.instances import environment_of, own_instance

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.random_order(disabled=True),
]

WINDOW = Window.of("sparkov", "2024-05-01--2024-05-05")
TABLES = (*zone("processed"), *zone("sandbox"))
_LOST = "TaskSchedulerImpl: Lost executor"
_EXECUTOR = "CoarseGrainedExecutorBackend"
SERVICES = ("postgres", "s3", "spark", "spark-cluster")


@dataclass(frozen=True)
class Instance:
    """A platform with a local server and a cluster, and a window landed in its Raw."""

    settings: Settings
    manifest: Manifest

    @property
    def driver_log(self) -> str:
        """Return what the cluster's driver has logged."""
        return (platform.logs_dir(self.settings) / "spark-cluster.log").read_text()

    def empty(self, spark: "SparkSession") -> None:
        """Drop the lake's tables."""
        for table in TABLES:
            spark.sql(f"DROP TABLE IF EXISTS lake.{table.name} PURGE")

    def run(self, spark: "SparkSession", around: Callable[[Callable[[], StageResult]], Any]) -> Any:
        """Take the window through process and prepare, each started by `around`; return tables."""
        from lake.publish import publish
        from spark.jobs.prepare import prepare
        from spark.jobs.process import process

        self.empty(spark)
        bucket, key = self.settings.s3.raw_bucket, self.settings.pseudonym_key_file
        processed = around(
            lambda: process(
                spark, [self.manifest], WINDOW, run_id="p", raw_bucket=bucket, key_file=key
            )
        )
        published = publish(spark, processed)
        prepared = around(lambda: prepare(spark, published, run_id="s"))
        publish(spark, prepared)
        return processed.balances, prepared.balances, self.tables()

    def tables(self) -> dict[str, "pa.Table"]:
        """Return every row of the lake, sorted, without Spark."""
        catalog = open_catalog(self.settings, "reader")
        found = {}
        for table in TABLES:
            rows = catalog.load_table(table.name).scan().to_arrow()
            found[table.name] = rows.sort_by([(name, "ascending") for name in table.key])
        catalog.close()
        return found

    def members(self, service: str) -> list[psutil.Process]:
        """Return the processes of a service; of a worker, its executor is one."""
        state = platform.read_status(self.settings)["services"][service]
        return session_members(state["pid"], state["started"])

    def tasks(self, worker: str) -> tuple[set[str], set[str]]:
        """Return the tasks that a worker's executor has begun and those it has finished."""
        logs = (self.settings.state_dir / worker / "work").glob("*/*/stderr")
        text = "".join(log.read_text() for log in logs)
        begun = re.findall(r"Executor: Running (task .* \(TID \d+\))", text)
        return set(begun), set(re.findall(r"Executor: Finished (task .* \(TID \d+\))", text))


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Start the instance and land the window; at the end nothing of it may run."""
    state = tmp_path_factory.mktemp("cluster")
    with (
        own_instance(state, ports=60) as settings,
        # A write reads the settings itself.
        environment_of(state, settings.port_base),
    ):
        platform.up(settings, SERVICES)
        lander, bucket = s3_client(settings, "lander"), settings.s3.raw_bucket
        land(WINDOW, lander, bucket, deliveries(WINDOW, REPO / "data"), run_id="land")
        here = Instance(settings, find_latest(lander, bucket, WINDOW))
        yield here
        processes = [one for name in (*SERVICES, *WORKERS) for one in here.members(name)]
    _, left = psutil.wait_procs(processes, timeout=30)
    assert left == [], "the platform is down, and these run on"


@pytest.fixture(scope="module")
def local(instance: Instance) -> Any:
    """Return what the local server makes of the window."""
    from pyspark.sql import SparkSession

    address = instance.settings.spark.remote
    assert address is not None
    spark = SparkSession.builder.remote(address.get_secret_value()).create()
    made = instance.run(spark, lambda job: job())
    spark.stop()
    return made


@pytest.fixture(scope="module")
def cluster(instance: Instance) -> Iterator["SparkSession"]:
    """Return a session of the server in front of the cluster."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(remote(instance.settings)).create()
    yield spark
    spark.stop()


def kill_in_mid_task(instance: Instance, worker: str, over: threading.Event) -> set[str]:
    """Kill a worker and its executor while a task runs there; return the tasks that it ran.

    The executor is frozen first: what it had begun by then and not finished, it ran when it died.
    """
    while not over.is_set():
        begun, finished = instance.tasks(worker)
        victims = instance.members(worker)
        executors = [one for one in victims if any(_EXECUTOR in word for word in one.cmdline())]
        if begun - finished and executors:
            for executor in executors:
                executor.suspend()
            time.sleep(0.3)  # the worker writes down what the executor said last
            begun, finished = instance.tasks(worker)
            if running := begun - finished:
                for victim in victims:
                    victim.kill()
                return running
            for executor in executors:
                executor.resume()
        time.sleep(0.005)
    return set()


def rejoined(instance: Instance, worker: str, dead: int) -> bool:
    """Wait until the supervisor has brought a killed worker back into the cluster."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        state = platform.read_status(instance.settings)["services"][worker]
        if state["state"] == "ready" and state["pid"] != dead:
            return True
        time.sleep(0.1)
    return False


def same(one: Any, other: Any) -> bool:
    """Compare balances, then every table by every value."""
    assert one[:2] == other[:2]
    for name, rows in one[2].items():
        assert rows.equals(other[2][name]), name
    return True


def test_a_cluster_makes_the_same_tables_as_one_process(
    instance: Instance, local: Any, cluster: "SparkSession"
) -> None:
    worked = {worker: len(instance.tasks(worker)[1]) for worker in WORKERS}

    made = instance.run(cluster, lambda job: job())

    assert same(made, local)
    assert made[2]["processed.transactions"].num_rows == instance.manifest.rows > 0
    assert made[2]["sandbox.features"].num_rows == instance.manifest.rows
    for worker in WORKERS:
        assert len(instance.tasks(worker)[1]) > worked[worker], f"{worker} had nothing to do"


def test_a_worker_killed_in_mid_job_changes_nothing(
    instance: Instance, local: Any, cluster: "SparkSession"
) -> None:
    victims = iter(WORKERS)
    lost_before = instance.driver_log.count(_LOST)

    def with_a_kill(job: Callable[[], StageResult]) -> StageResult:
        worker = next(victims)
        pid = platform.read_status(instance.settings)["services"][worker]["pid"]
        # A worker's tasks are short and may be over before they are seen: then the job runs again.
        for _ in range(5):
            over = threading.Event()
            with ThreadPoolExecutor(1) as pool:
                killer = pool.submit(kill_in_mid_task, instance, worker, over)
                try:
                    result = job()
                finally:
                    over.set()
            if killer.result():
                break
        else:
            pytest.fail(f"{worker} was never met at work")
        assert rejoined(instance, worker, pid)
        return result

    made = instance.run(cluster, with_a_kill)

    assert same(made, local)
    assert instance.driver_log.count(_LOST) == lost_before + len(WORKERS)
    assert next(victims, None) is None
