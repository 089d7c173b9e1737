"""Maintenance whose driver is killed leaves the tables right, and the next run finishes it."""

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from contracts.settings import Settings
from embedded import platform
from lake import maintenance as jobs
from lake.catalog import open_catalog
from spark.session import DriverLostError, outage_explained, session

if TYPE_CHECKING:
    from tests.lake.conftest import Lake

pytestmark = [pytest.mark.spark, pytest.mark.stack, pytest.mark.soak]

LABELS = "processed.labels"


def test_maintenance_killed_half_way_leaves_the_tables_right(
    make_lake: "type[Lake]", spark_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = open_catalog(spark_settings, "reader")
    lake = make_lake(session(spark_settings), spark_settings, catalog)
    lake.empty()
    for number in range(3):
        lake.day(number)
    lake.cut(LABELS, 3)
    rows, begun = lake.rows(), lake.contents(LABELS).table.metadata_location
    victim = platform.read_status(spark_settings)["services"]["spark"]["pid"]
    call = jobs._call

    def call_and_kill(*given: Any) -> Any:
        rows = call(*given)
        os.kill(victim, signal.SIGKILL)
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "_call", call_and_kill)
        with pytest.raises(DriverLostError), outage_explained():
            lake.maintain(LABELS)
    left = lake.contents(LABELS)
    assert left.table.metadata_location != begun, "it had not begun"
    assert len(left.snapshots) > 1, "it was finished"
    assert lake.rows() == rows

    deadline = time.monotonic() + 300
    while platform.read_status(spark_settings)["services"]["spark"]["pid"] == victim:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    platform.up(spark_settings, ["spark"])
    healed = make_lake(session(spark_settings), spark_settings, catalog)
    healed.maintain(LABELS)

    assert healed.rows() == rows
    contents = healed.contents(LABELS)
    assert len(contents.snapshots) == 1
    assert [len(files) for files in contents.per_partition.values()] == [1, 1, 1]
    healed.empty()
    healed.spark.stop()
    catalog.close()
