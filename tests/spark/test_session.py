"""Connect and classic sessions agree, and a driver killed in mid-write is made good by a re-run."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts.tables import zone
from embedded.services.common import environment
from embedded.services.spark import java_variables
from sources.registry import source

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [pytest.mark.spark, pytest.mark.stack, pytest.mark.soak]

WINDOW = "2024-07-01"
# A short life does not earn back what the second compiler costs.
QUICK = "--driver-memory 1g --driver-java-options -XX:TieredStopAtLevel=1 pyspark-shell"


def test_a_killed_driver_changes_nothing_and_a_re_run_finishes(
    line: "Line", tmp_path: Path
) -> None:
    from lake.publish import publish
    from spark.jobs.batch import load

    manifest = line.land_sample(WINDOW)
    # The first window publishes, so that the killed run has something to spoil.
    before = publish(line.spark, line.process(line.land_sample("2024-06-30"), "before"))
    target = tmp_path / "rows.json"

    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("in_process.py")), WINDOW, str(target)],
        # A Connect client marks its process by variables, which the other must not inherit.
        env=environment(line.settings, {**java_variables(), "PYSPARK_SUBMIT_ARGS": QUICK}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert run.returncode == -signal.SIGKILL, run.stderr[-2000:]
    batch = load(
        line.spark,
        source("sparkov"),
        [manifest],
        line.settings.s3.raw_bucket,
        line.settings.pseudonym_key_file,
        (),
    )
    rows = batch.selectExpr("to_json(struct(*)) AS row").collect()
    assert target.read_text() == "\n".join(sorted(row["row"] for row in rows))
    assert len(rows) == manifest.rows

    refs = " UNION ALL ".join(
        f"SELECT '{table.name}' AS table, name, snapshot_id FROM lake.{table.name}.refs"
        for table in zone("processed")
    )
    branch_heads = [
        (row["table"], row["name"], row["snapshot_id"]) for row in line.spark.sql(refs).collect()
    ]
    assert {
        table: snapshot for table, name, snapshot in branch_heads if name == "main"
    } == before.snapshots
    left = [(table, at) for table, name, at in branch_heads if name.startswith("audit_killed")]
    assert any(at != before.snapshots[table] for table, at in left), "it died before it wrote"

    result = publish(line.spark, line.process(manifest, "killed"))

    assert result.balances[0].rows_out == manifest.rows
    assert len(line.rows("processed.transactions")) == manifest.rows + before.balances[0].rows_out
