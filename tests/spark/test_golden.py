"""Golden rows of every adapter: a folder a case, its first line says what is expected."""

import hashlib
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml

from sources.currencies import formatted
from sources.declaration import Source
from sources.inspect import inspect
from sources.manifest import RawObject
from sources.mapping_file import read
from sources.registry import SOURCES, source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPO = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir())
LANDED = datetime(2026, 1, 1, tzinfo=UTC)


def declared(case: dict[str, Any]) -> Source:
    return read(REPO / case["mapping"]) if "mapping" in case else source(case["source"])


def delivered(name: str, case: dict[str, Any], folder: Path) -> Path:
    """Lay the case's delivery into `folder`, as Parquet of the stated types if it says so."""
    given = REPO / case["delivery"] if "delivery" in case else next((GOLDEN / name).glob("d*"))
    if "parquet" not in case:
        path = folder / f"delivery{given.suffix}"
        shutil.copy(given, path)
        return path
    types = {column: pa.type_for_alias(kind) for column, kind in case["parquet"].items()}
    types = {name: pa.timestamp("us") if "stamp" in str(t) else t for name, t in types.items()}
    options = pyarrow.csv.ConvertOptions(column_types=types)
    path = folder / "delivery.parquet"
    pq.write_table(pyarrow.csv.read_csv(given, convert_options=options), path)
    return path


def plain(value: Any) -> Any:
    """Return a value as the YAML of a case writes it."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}".removesuffix(".000000")
    return formatted(value, "EUR") if isinstance(value, Decimal) else value


def rows_of(spark: "SparkSession", name: str, folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    """Return what inspection found, and each row with its label, nulls and lineage left out."""
    from pyspark.sql import functions as F

    from spark.jobs.raw import read_objects
    from spark.transforms.labels import truth_labels
    from spark.transforms.validate import validate

    case = yaml.safe_load((GOLDEN / name / "case.yaml").read_text())
    system = declared(case)
    path = delivered(name, case, folder)
    found = inspect(path, system)
    item = RawObject(
        key=path.name,
        name=path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=LANDED,
        schema_version=found.version,
        columns=found.columns,
    )
    valid = validate(read_objects(spark, system, [item], f"file://{folder}/"), system)
    labels = truth_labels(valid.filter(F.size("reasons") == 0), system.labels)
    known = {
        one["event_id"]: {"is_fraud": one["is_fraud"], "known_at": plain(one["known_at"])}
        for one in labels.collect()
    }
    rows = []
    for row in valid.orderBy("raw_position").collect():
        values = {name: plain(value) for name, value in row.asDict().items() if value is not None}
        for name in ("raw_object", "ingested_at", "event_date", "is_fraud", "label_known_at"):
            values.pop(name, None)
        assert len(values.pop("rules")) == len(values["reasons"])
        assert values.pop("schema_version") == case["version"]
        assert values.pop("source_system") == system.name
        # Delays that are drawn from the event's key have a test of their own.
        if values.get("event_id") in known:
            values["label"] = known[values["event_id"]]
        rows.append(values)
    return found, rows


def expected(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = yaml.safe_load((GOLDEN / name / "expected.yaml").read_text())
    return rows


@pytest.mark.spark
@pytest.mark.parametrize("name", CASES)
def test_golden_rows(name: str, spark: "SparkSession", tmp_path: Path) -> None:
    found, rows = rows_of(spark, name, tmp_path)

    assert rows == expected(name)
    for row in rows:
        if len(row.get("event_id", "")) == 64:
            key = f"delivery{'.parquet' if name == 'paysim2' else '.csv'}|{row['raw_position']}"
            assert row["event_id"] == hashlib.sha256(key.encode()).hexdigest()
    # Landing counted the same rows and the same money.
    assert found.rows == len(rows)
    assert sum(found.amounts.values()) == sum(Decimal(row.get("amount", 0)) for row in rows)


def test_every_source_and_version_has_golden_rows() -> None:
    covered = set()
    for name in CASES:
        text = (GOLDEN / name / "case.yaml").read_text()
        assert text.startswith("# "), f"{name} does not say in words what is expected"
        case = yaml.safe_load(text)
        system = declared(case)
        covered |= {(system.name, None), (None, system.version(case["version"]).description)}
    for system in SOURCES.values():
        wanted = {(system.name, None), *((None, one.description) for one in system.versions)}
        assert wanted <= covered
