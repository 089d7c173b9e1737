"""Lake tables filled as the jobs fill them, a day a commit, at little cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts.settings import Settings
from contracts.tables import TABLES
from lake.catalog import open_catalog
from lake.maintenance import Limits, MaintainedTable, maintain
from lake.table_contents import TableContents, table_contents

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyspark.sql import DataFrame, SparkSession

LABELS, MERCHANTS = "processed.labels", "processed.merchants"
START = date(2024, 1, 1)


@dataclass(frozen=True)
class Lake:
    """Tables that are filled as the jobs fill them: branch, write, fast-forward."""

    spark: "SparkSession"
    settings: Settings
    catalog: "Catalog"

    def empty(self) -> None:
        """Drop the tables that these tests fill."""
        for table in (LABELS, MERCHANTS):
            self.spark.sql(f"DROP TABLE IF EXISTS lake.{table} PURGE")

    def commit(self, table: str, rows: "DataFrame", note: str | None = None) -> int:
        """Write rows through an audit branch and publish it; return the snapshot."""
        from contracts.render.to_iceberg import create_table
        from lake.branches import MAIN, alter, drop_branch, open_branch
        from lake.frames import merge, write

        self.spark.sql(create_table(TABLES[table]))
        open_branch(self.spark, [TABLES[table]], "audit_run")
        if TABLES[table].interval is None:
            write(rows, table, "audit_run", note=note)
        else:
            merge(rows, table, "audit_run")
        alter(self.spark, f"CALL lake.system.fast_forward('{table}', '{MAIN}', 'audit_run')")
        drop_branch(self.spark, [TABLES[table]], "audit_run")
        return self.contents(table).branches[MAIN]

    def day(self, number: int = 0, note: str | None = None, rows: int = 20) -> int:
        """Publish the labels of a day."""
        return self.commit(LABELS, self.labels(number, rows), note)

    def labels(self, number: int, rows: int) -> "DataFrame":
        """Return labels of a day."""
        day = START + timedelta(days=number)
        return self.spark.range(0, rows, 1, 1).selectExpr(
            f"concat('e', {number}, '_', id) AS event_id",
            "'sparkov' AS source_system",
            f"DATE'{day}' AS event_date",
            "id % 7 = 0 AS is_fraud",
            "CAST(NULL AS string) AS scenario",
            "'truth' AS label_source",
            f"TIMESTAMP'{day} 12:00:00' AS known_at",
            "'object' AS raw_object",
        )

    def merchants(self, number: int) -> "DataFrame":
        """Return fifty merchants, with the last payment on a day."""
        return self.spark.range(0, 50, 1, 1).selectExpr(
            "concat('m', id) AS counterparty_id",
            "'sparkov' AS source_system",
            "'merchant' AS counterparty_type",
            "CAST(NULL AS string) AS merchant_category",
            "TIMESTAMP'2024-01-01 00:00:00' AS first_event_at",
            f"TIMESTAMP'2024-01-01 00:00:00' + INTERVAL {number} DAY AS last_event_at",
        )

    def cut(self, table: str, pieces: int) -> int:
        """Write a table's rows again, in so many files a partition."""
        name = f"lake.{table}"
        rows = self.spark.table(name).repartition(pieces)
        rows.writeTo(name).option("distribution-mode", "none").overwritePartitions()
        return self.contents(table).branches["main"]

    def contents(self, table: str) -> TableContents:
        """Return what a table consists of now."""
        return table_contents(self.catalog, table)

    def maintain(
        self, table: str, *, dry_run: bool = False, in_use: Any = None, **kept: Any
    ) -> MaintainedTable:
        """Maintain one table; by default only its newest snapshot is kept."""
        now, day = datetime.now(UTC), timedelta(days=1)
        limits = {
            **{"snapshots_since": now, "snapshots_at_least": 1},
            **{"branches_since": now - day, "orphans_since": now - day},
            **kept,
        }
        (done,) = maintain(
            self.spark,
            self.catalog,
            Limits(**limits),
            in_use=in_use or {},
            dry_run=dry_run,
            tables=[table],
        )
        return done

    def folder(self, table: str) -> Path:
        """Return where the S3 server keeps a table."""
        where = self.catalog.load_table(table).location().removeprefix("s3://")
        return self.settings.state_dir / "s3" / "data" / where

    def rows(self, table: str = LABELS) -> list[dict[str, Any]]:
        """Return the rows of main, in order."""
        found = self.catalog.load_table(table).scan().to_arrow().to_pylist()
        return sorted(found, key=repr)


@pytest.fixture
def lake(spark: "SparkSession", spark_settings: Settings) -> Iterator[Lake]:
    """Return a lake without these two tables; leave none behind."""
    catalog = open_catalog(spark_settings, "reader")
    made = Lake(spark, spark_settings, catalog)
    made.empty()
    yield made
    made.empty()
    catalog.close()


@pytest.fixture
def make_lake() -> type[Lake]:
    """Return the class, for a test whose session does not live through it."""
    return Lake
