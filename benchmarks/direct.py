"""The pipeline without Airflow: the same jobs and gates, called one after the other."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from contracts.results import GateResult
from contracts.settings import Settings
from contracts.stage_results import LandResult, StageResult
from contracts.stages import WINDOW_STAGES, Stage
from contracts.windows import Window
from expectations import gates
from expectations.scores import read_shadow
from lake.catalog import open_catalog
from lake.publish import discard, publish
from ml.jobs.score import score
from sources.discover import deliveries
from sources.land import land
from sources.manifest import Manifest, named
from sources.store import s3_client
from spark.jobs.prepare import prepare
from spark.jobs.process import process
from spark.session import session
from warehouse import ledger, load, scores, transform, withdrawals

Done = dict[Stage, Any]
"""The result of each stage that a window has passed, of the stage's own class."""


@dataclass
class DirectLine:
    """Runs a window stage by stage; `seconds` has the duration of each step of the last window."""

    settings: Settings
    seconds: dict[str, float] = field(default_factory=dict)

    def window(self, window: Window, *, with_scores: bool = True) -> Done:
        """Run all stages of a window, from its delivery to its scores.

        Raises:
            GateFailed: when a gate closes; later stores are unchanged.
        """
        self.seconds = {}
        done: Done = {}
        for stage in WINDOW_STAGES if with_scores else WINDOW_STAGES[:-1]:
            self.stage(stage, window, done)
        return done

    def stage(self, stage: Stage, window: Window, done: Done) -> StageResult:
        """Run one stage of a window with the results of earlier stages in `done`.

        Raises:
            GateFailed: when its gate closes; its unpublished output is discarded, as in the DAGs.
        """
        runs: dict[Stage, Callable[[Window, Done], StageResult]] = {
            Stage.LAND: self._land,
            Stage.PROCESS: self._process,
            Stage.PREPARE: self._prepare,
            Stage.LOAD: self._load,
            Stage.BUILD: self._build,
            Stage.SCORE: self._score,
        }
        started = datetime.now(UTC)
        result = runs[stage](window, done)
        ledger.record(self._dsn, result, started, datetime.now(UTC))
        done[stage] = result
        return result

    @property
    def _dsn(self) -> str:
        return self.settings.warehouse.dsn("loader")

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = perf_counter()
        yield
        self.seconds[what] = perf_counter() - began

    def _record_and_require(
        self, result: GateResult, undo: Callable[[], None] | None = None
    ) -> None:
        ledger.record_gate(self._dsn, result)
        if undo is not None and not result.passed:
            undo()
        result.require()

    def manifests(self, landed: LandResult) -> list[Manifest]:
        """Return the manifests of a landing, even if other deliveries have landed since."""
        client, bucket = s3_client(self.settings, "processor"), self.settings.s3.raw_bucket
        return [named(client, bucket, landed.manifest)]

    def _land(self, window: Window, _: Done) -> StageResult:
        s3, bucket = s3_client(self.settings, "lander"), self.settings.s3.raw_bucket
        run_id = run_id_of(Stage.LAND, window)
        with self._timed("land"):
            files = deliveries(window, self.settings.data_dir, self.settings.deliveries)
            landed = land(window, s3, bucket, files, run_id=run_id)
        with self._timed("gate raw"):
            self._record_and_require(
                gates.gate_raw(
                    self.manifests(landed), window, run_id, s3, bucket, self.settings.state_dir
                )
            )
        return landed

    def _process(self, window: Window, done: Done) -> StageResult:
        spark, manifests = session(self.settings), self.manifests(done[Stage.LAND])
        with self._timed("process"):
            written = process(
                spark,
                manifests,
                window,
                run_id=run_id_of(Stage.PROCESS, window),
                raw_bucket=self.settings.s3.raw_bucket,
                key_file=self.settings.pseudonym_key_file,
                withdrawals=withdrawals.active(self._dsn, window.source),
            )
        with self._timed("gate processed"):
            gate_result = gates.gate_processed(spark, written, manifests, self.settings.state_dir)
            self._record_and_require(gate_result, undo=lambda: discard(spark, written))
        with self._timed("publish processed"):
            return publish(spark, written)

    def _prepare(self, window: Window, done: Done) -> StageResult:
        spark = session(self.settings)
        with self._timed("prepare"):
            written = prepare(spark, done[Stage.PROCESS], run_id=run_id_of(Stage.PREPARE, window))
        with self._timed("gate sandbox"):
            gate_result = gates.gate_sandbox(spark, written, self.settings.state_dir)
            self._record_and_require(gate_result, undo=lambda: discard(spark, written))
        with self._timed("publish sandbox"):
            return publish(spark, written)

    def _load(self, window: Window, done: Done) -> StageResult:
        catalog = open_catalog(self.settings, "reader")
        run_id = run_id_of(Stage.LOAD, window)
        with self._timed("load"):
            staged = load.stage(
                catalog, self._dsn, done[Stage.PROCESS], done[Stage.PREPARE], run_id
            )
        with self._timed("gate staging"):
            gate_result = gates.gate_staging(self._dsn, catalog, staged, self.settings.state_dir)
            self._record_and_require(gate_result, undo=lambda: load.discard(self._dsn, staged))
        with self._timed("swap staging"):
            return load.swap(self._dsn, staged)

    def _build(self, window: Window, done: Done) -> StageResult:
        dates = done[Stage.LOAD].dates
        run_id = run_id_of(Stage.BUILD, window)
        with self._timed("build"):
            built = transform.build(self.settings, window=window, run_id=run_id, dates=dates)
        with self._timed("gate production"):
            dsn = self.settings.warehouse.dsn("transformer")
            gate_result = gates.gate_production(dsn, built, self.settings.state_dir)
            self._record_and_require(
                gate_result, undo=lambda: transform.discard(self.settings, built)
            )
        with self._timed("publish production"):
            transform.publish(self.settings, built)
        return built

    def _score(self, window: Window, done: Done) -> StageResult:
        catalog = open_catalog(self.settings, "reader")
        prepared = done[Stage.PREPARE]
        run_id = run_id_of(Stage.SCORE, window)
        with self._timed("score"):
            scored, table, drift = score(
                self.settings,
                catalog,
                dates=prepared.dates,
                snapshots=prepared.snapshots,
                window=window,
                run_id=run_id,
            )
            staged = scores.stage_scores(self._dsn, scored, table, drift)
        with self._timed("gate scores"):
            rows: Any = read_shadow(self._dsn, staged)
            drifted = read_shadow(self._dsn, staged, "staging.feature_drift")
            gate_result = gates.gate_scores(catalog, staged, rows, self.settings.state_dir, drifted)
            self._record_and_require(gate_result, undo=lambda: load.discard(self._dsn, staged))
        with self._timed("publish scores"):
            scores.swap_scores(self._dsn, staged)
            transform.build_and_publish(
                self.settings, window=window, run_id=run_id, dates=staged.dates, layer="scores"
            )
        return staged


def run_id_of(stage: Stage, window: Window) -> str:
    """Return a new run id that is valid in names of branches and tables."""
    moment = hashlib.sha256(f"{stage}{window.key}{perf_counter()}".encode()).hexdigest()[:8]
    return f"{stage}_{window.source}_{window.span.replace('-', '')}_{moment}"
