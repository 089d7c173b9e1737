"""Rows of the Sparkov layout, the lake emptied for a module, and one way to run its stages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from contracts.settings import Settings
from contracts.stage_results import ProcessResult
from contracts.tables import zone
from contracts.windows import Window
from contracts.withdrawals import Withdrawal
from sources.discover import Delivery, deliveries, label_deliveries
from sources.land import land
from sources.manifest import Manifest, find_latest
from sources.store import s3_client

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATA = Path(__file__).resolve().parents[2] / "data"
SPARKOV_ROW: dict[str, Any] = {
    "ssn": "011-63-5921",
    "cc_num": "4779476602844521552",
    "first": "James",
    "last": "Tran",
    "gender": "M",
    "street": "23851 Catherine Mission",
    "city": "Miami",
    "state": "FL",
    "zip": "33176",
    "lat": 25.6574,
    "long": -80.3627,
    "city_pop": 1737737,
    "job": "Producer",
    "dob": "1947-03-11",
    "acct_num": "789500570121",
    "profile": "adults_50up_male_urban.json",
    "trans_num": "e1",
    "trans_date": "2019-01-05",
    "trans_time": "00:10:00",
    "unix_time": 1546647000,
    "category": "gas_transport",
    "amt": 84.37,
    "is_fraud": 0,
    "merchant": "fraud_Schaefer, McGlynn and Bosco",
    "merch_lat": 25.794453,
    "merch_long": -80.578092,
}


@pytest.fixture(scope="session")
def row() -> dict[str, Any]:
    """Return a sound row of the Sparkov layout."""
    return dict(SPARKOV_ROW)


@dataclass(frozen=True)
class Line:
    """The stages of the lake, run on the test platform."""

    spark: "SparkSession"
    settings: Settings
    folder: Path

    def land(self, day: str, rows: Sequence[dict[str, Any]]) -> Manifest:
        """Deliver these rows as the file of a day and land them."""
        path = self.folder / f"{day}.parquet"
        pd.DataFrame([{**SPARKOV_ROW, **changes} for changes in rows]).to_parquet(path, index=False)
        return self._landed(Window.of("sparkov", day), [Delivery(path)])

    def land_text(self, window: str, text: str) -> Manifest:
        """Deliver this text as the CSV file of a window and land it."""
        parsed = Window.parse(window)
        path = self.folder / f"{parsed.span}.csv"
        path.write_text(text)
        return self._landed(parsed, [Delivery(path)])

    def land_sample(self, window: str) -> Manifest:
        """Land a window of the shipped sample."""
        parsed = Window.of("sparkov", window)
        return self._landed(parsed, deliveries(parsed, DATA))

    def land_folder(self, window: str, folder: Path) -> Manifest:
        """Land a window of the files in a folder."""
        parsed = Window.parse(window)
        files, labels = (
            find(parsed, folder, {parsed.source: folder}) for find in (deliveries, label_deliveries)
        )
        return self._landed(parsed, files, labels)

    def _landed(
        self, window: Window, files: list[Delivery], labels: Sequence[Delivery] = ()
    ) -> Manifest:
        client, bucket = s3_client(self.settings, "lander"), self.settings.s3.raw_bucket
        land(window, client, bucket, files, labels=labels, run_id="land")
        return find_latest(client, bucket, window)

    def process(
        self, manifest: Manifest, run_id: str, withdrawals: Sequence[Withdrawal] = ()
    ) -> ProcessResult:
        """Process a landed window onto its audit branch."""
        from spark.jobs.process import process

        return process(
            self.spark,
            [manifest],
            Window.parse(manifest.window),
            run_id=run_id,
            raw_bucket=self.settings.s3.raw_bucket,
            key_file=self.settings.pseudonym_key_file,
            withdrawals=withdrawals,
        )

    def empty(self) -> None:
        """Leave a lake without tables."""
        for table in (*zone("processed"), *zone("sandbox")):
            self.spark.sql(f"DROP TABLE IF EXISTS lake.{table.name} PURGE")

    def rows(self, table: str, order: str = "event_id") -> list[dict[str, Any]]:
        """Return the published rows of a table."""
        frame = self.spark.table(f"lake.{table}").orderBy(*order.split(","))
        return [one.asDict() for one in frame.collect()]


@pytest.fixture(scope="module")
def line(
    spark: "SparkSession", spark_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    """Return the stages over a lake without tables; leave none behind."""
    made = Line(spark, spark_settings, tmp_path_factory.mktemp("deliveries"))
    made.empty()
    yield made
    made.empty()
