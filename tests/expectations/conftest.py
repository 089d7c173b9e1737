"""What the tests of the gates share: a day on its audit branch, and ways to spoil it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.results import GateResult, StageResult
from contracts.settings import Settings
from contracts.windows import Window
from expectations.processed import judge_processed, processed_frames
from expectations.sandbox import sandbox_frames
from sources.deliver import deliveries
from sources.land import land
from sources.manifest import Manifest, find_latest
from sources.store import s3_client

REPO = Path(__file__).resolve().parents[2]
WINDOW = Window.parse("sparkov@2024-07-15")
Frames = dict[str, Any]


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run code in a fresh interpreter and return what it prints."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return run


@dataclass
class Line:
    """A day that was landed, processed and prepared, published by nobody."""

    spark: Any
    manifests: list[Manifest]
    processed: StageResult
    prepared: StageResult
    state_dir: Path

    def frames(self) -> Frames:
        """Return the audited frames of Processed, by short name."""
        return processed_frames(self.spark, self.processed)

    def judge_processed(self, frames: Frames) -> GateResult:
        """Judge frames as if they were the audited ones."""
        return judge_processed(self.spark, frames, self.processed, self.manifests, self.state_dir)


@pytest.fixture(scope="module")
def line(
    spark: Any, spark_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    """Take a day up to its audit branches."""
    from spark.jobs.prepare import prepare
    from spark.jobs.process import process
    from spark.jobs.publish import discard

    settings, bucket = spark_settings, spark_settings.s3.raw_bucket
    client = s3_client(settings, "lander")
    files = deliveries(WINDOW, settings.data_dir)
    land(WINDOW, client, bucket, files, run_id="land_gates")
    manifest = find_latest(client, bucket, WINDOW)
    assert manifest is not None
    processed = process(
        spark,
        [manifest],
        WINDOW,
        run_id="process_gates",
        raw_bucket=bucket,
        key_file=settings.pseudonym_key_file,
    )
    prepared = prepare(spark, processed, run_id="prepare_gates")
    yield Line(spark, [manifest], processed, prepared, tmp_path_factory.mktemp("state"))
    discard(spark, prepared)
    discard(spark, processed)


@pytest.fixture(scope="module")
def processed(line: Line) -> Iterator[Frames]:
    """Give the frames of Processed, read from the lake once for all tests."""
    yield from _held(line.frames())


@pytest.fixture(scope="module")
def sandbox(line: Line) -> Iterator[Frames]:
    """Give the frames of the Sandbox, read from the lake once for all tests."""
    yield from _held(sandbox_frames(line.spark, line.prepared))


def _held(frames: Frames) -> Iterator[Frames]:
    held = {name: frame.persist() for name, frame in frames.items()}
    yield held
    for frame in held.values():
        frame.unpersist()


def closed_by(result: GateResult) -> set[str]:
    """Return the names of the checks that close a gate."""
    return {c.name for c in result.checks if not c.passed and c.severity == "critical"}


def put(name: str, column: str, expression: str, where: str = "true") -> Callable[[Frames], Frames]:
    """Return a fault: a column of a frame has another value in some rows."""

    def fault(frames: Frames) -> Frames:
        changed = frames[name].selectExpr(
            *(
                f"case when {where} then {expression} else {c} end as {c}" if c == column else c
                for c in frames[name].columns
            )
        )
        return {**frames, name: changed}

    return fault


def only(name: str, where: str) -> Callable[[Frames], Frames]:
    """Return a fault: a frame has lost all other rows."""
    return lambda frames: {**frames, name: frames[name].where(where)}


def twice(name: str) -> Callable[[Frames], Frames]:
    """Return a fault: a frame has one row twice."""
    return lambda frames: {**frames, name: frames[name].unionAll(frames[name].limit(1))}


def without(name: str, column: str) -> Callable[[Frames], Frames]:
    """Return a fault: a frame has lost a column."""
    return lambda frames: {**frames, name: frames[name].drop(column)}
