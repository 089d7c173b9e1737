"""Half a year of daily runs with weekly maintenance, through real branches and publishes."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.lake.conftest import Lake

pytestmark = [pytest.mark.spark, pytest.mark.stack, pytest.mark.soak, pytest.mark.timeout(1800)]

LABELS, MERCHANTS = "processed.labels", "processed.merchants"
# The most that a table consists of after daily runs with weekly maintenance (docs/scale.md).
MOST_AFTER_MAINTENANCE = {
    "files a partition": 1,
    "snapshots": 28,
    "branches": 1,
    "manifests": 28,
    "metadata files": 21,
    "other metadata": 90,
    "outdated data files": 28,
}


def test_after_180_daily_runs_the_tables_are_as_small_as_docs_scale_says(lake: "Lake") -> None:
    published: list[int] = []
    dead = "audit_died"
    for number in range(180):
        published.append(lake.day(number))
        if number % 10 == 9:
            published.append(lake.day(number - 3, rows=25))  # late rows of an earlier day
        if number % 60 == 30:
            lake.spark.sql(f"ALTER TABLE lake.{LABELS} CREATE BRANCH {dead}")
        if number % 7 == 6:
            lake.commit(MERCHANTS, lake.merchants(number))
            # Fourteen days ago, by this line's clock.
            since = lake.contents(LABELS).committed_at(published[-15]) if number > 13 else None
            for table in (LABELS, MERCHANTS):
                lake.maintain(
                    table,
                    snapshots_since=since or datetime.now(UTC) - timedelta(days=1),
                    snapshots_at_least=20,
                    branches_since=datetime.now(UTC),
                )

    for table, partitions in ((LABELS, 180), (MERCHANTS, 1)):
        contents, folder = lake.contents(table), lake.folder(table)
        assert len(contents.per_partition) == partitions
        found = {
            "files a partition": max(map(len, contents.per_partition.values())),
            "snapshots": len(contents.snapshots),
            "branches": len(contents.branches),
            "manifests": contents.manifest_count,
            "metadata files": len(list((folder / "metadata").glob("*.metadata.json"))),
            "other metadata": len(list((folder / "metadata").glob("*.avro"))),
            "outdated data files": len(list((folder / "data").rglob("*.parquet")))
            - sum(map(len, contents.per_partition.values())),
        }
        over = {
            name: value for name, value in found.items() if value > MOST_AFTER_MAINTENANCE[name]
        }
        assert over == {}, found
    assert len(lake.rows()) == 180 * 20 + 18 * 5
