"""The European export of docs/sources.md lands as it stands and passes the gates."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts.settings import Settings, get_settings
from contracts.windows import Window
from expectations.gates import gate_processed, gate_raw, gate_sandbox
from sources import registry
from sources.discover import deliveries
from sources.land import land
from sources.manifest import find_latest
from sources.store import s3_client
from tests.expectations.conftest import closed_by

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.stack]
EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples"


@pytest.mark.parametrize("day", ["2024-03-31", pytest.param("2024-10-27", marks=pytest.mark.soak)])
def test_a_day_passes_the_gates_as_it_stands(
    day: str,
    spark: "SparkSession",
    spark_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A day of 23 hours and one of 25, up to the Sandbox.

    Slow: Spark processes and prepares both.
    """
    from lake.publish import discard
    from spark.jobs.prepare import prepare
    from spark.jobs.process import process

    mappings = get_settings().model_copy(update={"mappings_dir": EXAMPLES})
    monkeypatch.setattr(registry, "get_settings", lambda: mappings)
    window = Window.of("european_shop", day)
    client, bucket = s3_client(spark_settings, "lander"), spark_settings.s3.raw_bucket

    files = deliveries(window, EXAMPLES)
    landed = land(window, client, bucket, files, run_id="land_shop")
    manifest = find_latest(client, bucket, window)
    assert manifest is not None
    assert (landed.problems, manifest.rows) == ((), 6)
    assert closed_by(gate_raw([manifest], window, "land_shop", client, bucket, tmp_path)) == set()
    processed = process(
        spark,
        [manifest],
        window,
        run_id="process_shop",
        raw_bucket=bucket,
        key_file=spark_settings.pseudonym_key_file,
    )
    try:
        assert [date.isoformat() for date in processed.dates] == [day]
        assert sum(balance.rows_out for balance in processed.balances) == 6
        gate_result = gate_processed(spark, processed, [manifest], tmp_path)
        assert closed_by(gate_result) == set()
        prepared = prepare(spark, processed, run_id="prepare_shop")
        try:
            assert closed_by(gate_sandbox(spark, prepared, tmp_path)) == set()
        finally:
            discard(spark, prepared)
    finally:
        discard(spark, processed)
