"""The stream and the batch line refuse the same payments, for the same reasons and in one order."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sources.inspect import inspect
from sources.manifest import RawObject
from sources.registry import source
from sources.simulator import SIMULATOR
from streaming.validation import Rejected, Validator
from tests.streaming.conftest import ARRIVED, Day
from tests.streaming.hostile import hostile_messages

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_GOLDEN = Path(__file__).parents[1] / "spark" / "golden"


@pytest.mark.spark
def test_the_batch_line_refuses_the_same_messages(
    spark: "SparkSession", validator: Validator, dirty_day: Day, tmp_path: Path
) -> None:
    from spark.jobs.raw import read_objects
    from spark.transforms.validate import validate

    messages = [*dirty_day.messages, *hostile_messages()]
    path = tmp_path / "day.jsonl"
    path.write_bytes(b"\n".join(messages) + b"\n")
    found = inspect(path, SIMULATOR)
    landed = RawObject(
        key=path.name,
        name=path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=ARRIVED,
        schema_version=1,
        columns=found.columns,
    )
    frame = validate(read_objects(spark, SIMULATOR, [landed], f"file://{tmp_path}/"), SIMULATOR)
    rows = frame.select("raw_position", "event_id", "reasons", "rules").collect()
    assert len(rows) == len(messages) > 2_000

    differences = []
    for row in rows:
        message = messages[row["raw_position"]]
        verdict = validator.validate(message, ARRIVED)
        reject = verdict.reject if isinstance(verdict, Rejected) else None
        said = (reject.reasons, reject.rules) if reject else ([], [])
        is_same_id = reject is None or not message.isascii() or reject.event_id == row["event_id"]
        if said != (row["reasons"], row["rules"]) or not is_same_id:
            differences.append((message[:600], row, reject))
    assert differences == []


@pytest.mark.parametrize("feed", ["card_feed", "banking_feed", "simulator"])
def test_the_golden_rows_of_a_feed_have_the_same_reasons(feed: str) -> None:
    validator = Validator(source(feed))
    lines = (_GOLDEN / feed / "delivery.jsonl").read_bytes().splitlines()
    expected = yaml.safe_load((_GOLDEN / feed / "expected.yaml").read_text())

    verdicts = [validator.validate(line, ARRIVED) for line in lines if line.strip()]
    assert [
        [str(reason) for reason in one.reject.reasons] if isinstance(one, Rejected) else []
        for one in verdicts
    ] == [row["reasons"] for row in expected]
