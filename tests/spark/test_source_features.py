"""Features of a source's file from its delivery to Sandbox."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts.tables import TABLES
from lake.catalog import open_catalog
from lake.read import read_dates
from sources import registry
from sources.mapping_file import read

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [pytest.mark.spark, pytest.mark.stack]

GOLDEN = Path(__file__).parent / "golden/source_features"
TRANSACTIONS, FEATURES = "processed.transactions", "sandbox.features"
AGAIN = """\
id;paid;payer;total;risk;age
e1;2024-05-01 10:00:00;c1;12,50;;
e2;2024-05-01 10:00:01;c1;12,50;1,5;
e3;2024-05-02 10:00:00;c1;12,50;-0,25;1.234
e4;2024-05-02 10:00:01;c2;12,50;;
e5;2024-05-02 10:00:02;c2;12,50;high;
"""


def test_features_of_a_file_reach_sandbox_in_a_lake_of_an_earlier_version(
    line: "Line", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow: two windows through process, one through prepare, and its features again by keys."""
    from contracts.render.to_iceberg import create_table
    from lake.branches import MAIN, references
    from lake.frames import read as rows_at
    from lake.publish import publish
    from spark.jobs.column_coverage import columns_filled
    from spark.jobs.feature_tasks import TableAt, feature_rows
    from spark.jobs.prepare import prepare

    spark, declared = line.spark, read(GOLDEN / "with_features.yaml")
    without = replace(declared, versions=(replace(declared.versions[0], features={}),))
    monkeypatch.setitem(registry.SOURCES, "with_features", without)
    first = line.land_text("with_features@2024-05-01", "".join(AGAIN.splitlines(True)[:3]))
    publish(spark, line.process(first, "first"))
    earlier = spark.table(f"lake.{TRANSACTIONS}").drop("source_features")
    by_date = earlier.writeTo(f"lake.{TRANSACTIONS}").using("iceberg").partitionedBy("event_date")
    by_date.createOrReplace()
    names = TABLES[FEATURES].column_names
    spark.sql(create_table(replace(TABLES[FEATURES], column_names=names[:-1])))
    before = references(spark, [TABLES[TRANSACTIONS]])[TRANSACTIONS][MAIN]

    monkeypatch.setitem(registry.SOURCES, "with_features", declared)
    processed = line.process(line.land_text("with_features@2024-05-02", AGAIN), "second")
    publish(spark, processed)
    prepared = publish(spark, prepare(spark, processed, run_id="second"))

    features = {"account_age": 1234.0, "risk_score": -0.25, "velocity": None}
    second = {"e3": features, "e4": None}
    expected: dict[str, Any] = {"e1": None, "e2": None, **second}
    for name in (TRANSACTIONS, FEATURES):
        assert spark.table(f"lake.{name}").columns == list(TABLES[name].column_names)
    assert of(line.rows(TRANSACTIONS)) == expected
    in_sandbox = of(line.rows(FEATURES))
    assert {name: in_sandbox[name] for name in second} == second
    # Without features, e1 has the hash that it had in the earlier version.
    refused = {row["event_id"]: row["rules"] for row in line.rows("processed.quarantine")}
    assert refused == {
        "e2": ["the payment is known already, with other content"],
        "e5": ["a source feature is no finite number: risk_score"],
    }

    transactions, labels = (
        TableAt(name, prepared.snapshots[name]) for name in (TRANSACTIONS, "processed.labels")
    )
    days = dict.fromkeys(prepared.dates, 2)
    filled = {"with_features": columns_filled("with_features")}
    by_keys = feature_rows(spark, (transactions, labels), filled, days, most_rows=1)
    assert of([row.asDict() for row in by_keys.collect()]) == in_sandbox

    assert of([row.asDict() for row in rows_at(spark, TRANSACTIONS, before).collect()]) == {
        "e1": None,
        "e2": None,
    }
    catalog = open_catalog(line.settings)
    for source in (None, "with_features"):
        old = read_dates(catalog, TRANSACTIONS, before, None, source).read_all()
        assert old["source_features"].to_pylist() == [None, None]
        now = read_dates(catalog, TRANSACTIONS, None, None, source).read_all()
        assert {
            row["event_id"]: row["source_features"] and dict(row["source_features"])
            for row in now.to_pylist()
        } == expected
    catalog.close()


def of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the source features of each payment."""
    return {row["event_id"]: row["source_features"] for row in rows}
