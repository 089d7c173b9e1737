"""A pipeline for fault tests: the lake of the test platform and a separate warehouse.

Jobs and gates are called as the DAGs call them, without Airflow (`benchmarks.direct`).
"""

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import psycopg
import pytest

from contracts.settings import REPO, Settings
from contracts.stages import Stage
from contracts.tables import zone
from contracts.windows import Window
from tests.warehouses import Warehouses

if TYPE_CHECKING:
    from benchmarks.direct import DirectLine
    from ml.champion import Champion

Change = Callable[[pd.DataFrame], pd.DataFrame]
SAMPLE = REPO / "data" / "sparkov" / "transactions"
LAKE = (*zone("processed"), *zone("sandbox"))
_REFS = " branches"
_OF_A_RUN = ("run_id", "scored_at", "detected_at", "feature_snapshot_id")
_RECORDS = (
    *("staging.run_ledger", "staging.run_balances", "staging.run_tasks", "staging.gate_results"),
    "staging.withdrawals",
    *("production.fct_runs", "production.fct_run_tasks", "production.rpt_platform_health"),
    *("production.fct_gate_results", "production.rpt_gate_history", "production.rpt_window_stages"),
)


@dataclass
class Watched:
    """A line, its deliveries, and what its stores hold."""

    settings: Settings
    direct: "DirectLine"
    instances: dict[str, Settings]
    done: dict[Stage, Any] = field(default_factory=dict)

    @property
    def deliveries(self) -> Path:
        """Return the folder into which the source delivers."""
        return self.settings.data_dir / "sparkov" / "transactions"

    def deliver(
        self, day: str, change: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    ) -> Path:
        """Deliver a day of the sample, as it is or changed."""
        file = self.deliveries / f"{day}.parquet"
        shutil.copyfile(SAMPLE / file.name, file)
        if change is not None:
            change(pd.read_parquet(file)).to_parquet(file, index=False)
        return file

    def run(self, window: Window, *stages: Stage) -> None:
        """Take a window through some stages, after those it has been through."""
        for stage in stages:
            self.direct.stage(stage, window, self.done)

    def dsn(self, role: Any = "loader") -> str:
        """Return the login of a role."""
        return self.settings.warehouse.dsn(role)

    def ask(self, query: str, role: Any = "loader") -> list[tuple[Any, ...]]:
        """Query the warehouse."""
        with psycopg.connect(self.dsn(role)) as connection:
            return connection.execute(query.encode()).fetchall()

    def stores(self) -> dict[str, Any]:
        """Return what each store holds: snapshots of all branches, and digests of all rows.

        Shadow tables and branches of a refused run are included.
        """
        return {**self._lake(), **self._warehouse(())}

    def content(self) -> dict[str, Any]:
        """Return digests of all rows, without the columns that differ between runs."""
        digests = {**self._lake(), **self._warehouse(_OF_A_RUN)}
        return {name: digest for name, digest in digests.items() if not name.endswith(_REFS)}

    def published(self) -> dict[str, Any]:
        """Return the published state: as `stores`, without audit branches."""
        return {
            name: digest["main"] if name.endswith(_REFS) and digest else digest
            for name, digest in self.stores().items()
        }

    def kill(self, service: str) -> int:
        """Kill a service's process at once and return its number."""
        pid: int = self._state(service)["pid"]
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_restart(self, service: str, killed: int) -> None:
        """Wait until the supervisor has brought a killed service back."""
        deadline = time.monotonic() + 300
        while True:
            state = self._state(service)
            if state["state"] == "ready" and state["pid"] != killed:
                return
            assert time.monotonic() < deadline, state
            time.sleep(0.1)

    def _state(self, service: str) -> dict[str, Any]:
        from embedded import platform

        state: dict[str, Any] = platform.read_status(self.instances[service])["services"][service]
        return state

    def _lake(self) -> dict[str, Any]:
        from lake.catalog import open_catalog

        catalog = open_catalog(self.settings, "reader")
        digests: dict[str, Any] = {}
        for table in LAKE:
            if not catalog.table_exists(table.name):
                digests[table.name] = None
                continue
            stored = catalog.load_table(table.name)
            rows = sorted(map(repr, stored.scan().to_arrow().to_pylist()))
            digests[table.name] = hashlib.sha256("\n".join(rows).encode()).hexdigest(), len(rows)
            digests[f"{table.name}{_REFS}"] = {n: r.snapshot_id for n, r in stored.refs().items()}
        catalog.close()
        return digests

    def _warehouse(self, without: tuple[str, ...]) -> dict[str, Any]:
        """Digest every table of STAGING and PRODUCTION but those that record runs and gates."""
        with psycopg.connect(self.dsn("transformer")) as connection:
            names = [
                name
                for (name,) in connection.execute(
                    "select c.oid::regclass::text from pg_class c where relkind in ('r', 'p')"
                    " and not relispartition and relnamespace::regnamespace::text"
                    " in ('staging', 'production')"
                ).fetchall()
            ]
            return {
                name: connection.execute(
                    "select count(*), md5(string_agg(row, '|' order by row)) from (select"  # type: ignore[arg-type]
                    f" (to_jsonb(t) - %s::text[])::text as row from {name} as t) as rows",
                    (list(without),),
                ).fetchone()
                for name in sorted(names)
                if name not in _RECORDS
            }


@pytest.fixture(scope="module")
def champion() -> Iterator["Champion"]:
    """Put a model in MLflow's place: tests/ml prove the registry, here it would only cost time.

    It raises an alert for about one payment in seven of the sample, those with the largest amounts.
    """
    import numpy as np

    from contracts.features import fillable
    from ml import tracking
    from ml.artefact import Passport
    from ml.candidates import xgboost
    from ml.champion import Champion
    from ml.reasons import typical_values
    from ml.threshold import Bands
    from spark.jobs.column_coverage import columns_filled

    inputs = list(fillable(columns_filled("sparkov")))
    random = np.random.default_rng(7)
    rows = pd.DataFrame(random.lognormal(3, 1, (500, len(inputs))), columns=inputs)
    model = xgboost(rows).fit(rows, rows["amount"] > rows["amount"].quantile(0.97))
    passport = Passport(
        Bands(0.5, 0.9, 1.0),
        typical_values(rows),
        dict.fromkeys(inputs, 0.5),
        date(2024, 5, 1),
    )
    made = Champion(tracking.model_name("sparkov"), 1, model, passport)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.tracking.connect", lambda settings: None)
        patch.setattr("ml.champion.load_champion", lambda client, source: made)
        yield made


@pytest.fixture(scope="module")
def new_line(
    spark_settings: Settings,
    warehouses: Warehouses,
    champion: "Champion",
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], Watched]]:
    """Make pipelines in sequence, each with an empty lake and a separate warehouse."""
    from benchmarks.direct import DirectLine

    def make() -> Watched:
        _empty_lake(spark_settings)
        own = stack.enter_context(warehouses.borrowed())
        settings = spark_settings.model_copy(
            update={
                "state_dir": own.state_dir,
                "data_dir": tmp_path_factory.mktemp("data"),
                "warehouse": own.warehouse,
            }
        )
        settings.pseudonym_key_file.parent.mkdir(parents=True)
        shutil.copy2(spark_settings.pseudonym_key_file, settings.pseudonym_key_file)
        shutil.copytree(SAMPLE, settings.data_dir / "sparkov" / "transactions")
        instances = {"spark": spark_settings, "postgres": warehouses.server}
        return Watched(settings, DirectLine(settings), instances)

    with ExitStack() as stack:
        yield make
    _empty_lake(spark_settings)


def _empty_lake(settings: Settings) -> None:
    from spark.session import session

    for table in LAKE:
        session(settings).sql(f"DROP TABLE IF EXISTS lake.{table.name} PURGE")
