"""Landing of the stream in Raw: each message once, as it was sent, whatever is killed.

Slow, about a minute: it starts Kafka, the validation service and Spark, runs streaming queries, and
waits for the object store to return.
"""

import base64
import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
import pytest
import yaml
from pyspark.errors import PySparkException

from contracts.settings import REPO, Settings
from contracts.topics import TRANSACTIONS
from contracts.values import CLOCK_TOLERANCE
from embedded import platform
from sources.errors import StoreUnreachableError, StreamBatchError
from sources.manifest import RawObject
from sources.simulator import SIMULATOR
from sources.store import s3_client
from sources.stream_batches import Progress, read_progress
from streaming.connection import offsets
from tests.outage import away
from tests.streaming.messages import HARMFUL, send
from tests.streaming.raw import without_stream
from tests.streaming.readers import committed_messages
from tests.streaming.validators import running

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.random_order(disabled=True)]
_AWAY = r"(?i)^the object store (does|did) not (respond|answer) .*(retry|ready)\.$"
_GOLDEN = REPO / "tests" / "spark" / "golden" / "simulator"


@dataclass
class Landing:
    """A landing of the simulated source with a separate checkpoint, into an empty part of Raw."""

    spark: "SparkSession"
    settings: Settings
    checkpoint: str

    def land(self) -> None:
        """Land what is committed, in batches of four messages."""
        from spark.jobs import land_stream
        from spark.session import outage_explained

        with pytest.MonkeyPatch.context() as patch, outage_explained():
            patch.setattr(land_stream, "_MESSAGES_PER_BATCH", 4)
            land_stream.land_stream(
                self.spark, self.settings.kafka, SIMULATOR.name, self.checkpoint
            )

    @property
    def store(self) -> tuple[Any, str]:
        """Return the client of the lander and the bucket."""
        return s3_client(self.settings, "lander"), self.settings.s3.raw_bucket

    def progress(self) -> Progress:
        """Return what has landed."""
        found = offsets(self.settings.kafka, "lander", TRANSACTIONS)
        return read_progress(
            *self.store, SIMULATOR.name, {p: first for p, (first, _) in found.items()}
        )

    def interrupt(self, fault: Callable[[], None]) -> None:
        """Land, and cause a fault as soon as a batch has landed; raise the error of the landing."""
        landed = self._batch()
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(self.land)
            while self._batch() == landed:
                assert not run.done()
                time.sleep(0.05)
            fault()
            run.result(60)

    def _batch(self) -> int:
        return read_progress(*self.store, SIMULATOR.name, {}).batch

    def lines(self) -> list[bytes]:
        """Return the lines of all objects."""
        reader = s3_client(self.settings, "processor")
        bodies = [
            reader.get_object(Bucket=self.settings.s3.raw_bucket, Key=one.key)["Body"].read()
            for one in self.objects()
        ]
        return [line for body in bodies for line in body.splitlines()]

    def objects(self) -> list[RawObject]:
        """Return all objects that no manifest lists."""
        return [one for of_day in self.progress().pending.values() for one in of_day]


@pytest.fixture
def landing(kafka: Settings, spark: "SparkSession") -> Landing:
    """Return a landing into a Raw that has nothing of the stream."""
    without_stream(kafka)
    return Landing(spark, kafka, f"s3a://{kafka.s3.lake_bucket}/checkpoints/{uuid4().hex}")


def _stream(settings: Settings, messages: list[bytes], log: Path) -> None:
    """Send messages, and wait until each is validated or rejected."""
    with committed_messages(settings) as read, running(settings, log):
        send(settings, messages)
        deadline, outcomes = time.monotonic() + 60, 0
        while outcomes < len(messages):
            outcomes += len(read())
            assert time.monotonic() < deadline, log.read_text()


def test_each_message_lands_once_as_it_was_sent_and_the_batch_line_agrees(
    landing: Landing, tmp_path: Path
) -> None:
    from spark.jobs.raw import read_objects
    from spark.transforms.validate import validate

    golden = [line for line in (_GOLDEN / "delivery.jsonl").read_bytes().splitlines() if line]
    pretty = json.dumps(json.loads(golden[0]) | {"amount": -5}, indent=1).encode()
    ahead = datetime.now(UTC) + CLOCK_TOLERANCE - timedelta(minutes=1)
    future, early = (
        json.dumps(json.loads(golden[0]) | {"timestamp": at.isoformat()}).encode()
        for at in (datetime(2044, 8, 14, tzinfo=UTC), ahead)
    )
    messages = [*golden, *HARMFUL, pretty, future, early]
    _stream(landing.settings, messages, tmp_path / "log")

    landing.land()
    landed = landing.progress()

    expected = yaml.safe_load((_GOLDEN / "expected.yaml").read_text())
    rejected = sum(bool(row["reasons"]) for row in expected) + len(HARMFUL) + 2
    accounts = landed.accounts.values()
    assert sum(one.sent for one in accounts) == len(messages)
    assert sum(one.rejected for one in accounts) == rejected
    assert sum(one.repeated for one in accounts) == 0
    assert all(one.sent == one.validated + one.rejected for one in accounts)
    assert landed.batch > 1
    assert max(landed.pending) == ahead.date()

    as_base64 = [b'"%b"' % base64.b64encode(one) for one in HARMFUL]
    readable = [
        line
        for line, row in zip(golden, expected, strict=True)
        if row["reasons"][:1] != ["unreadable_row"]
    ]
    as_base64 += [b'"%b"' % base64.b64encode(one) for one in golden if one not in readable]
    assert Counter(landing.lines()) == Counter(
        [*readable, *as_base64, pretty.replace(b"\n", b" "), future, early]
    )

    before = {one.key: one for one in landing.objects()}
    landing.land()
    assert {one.key: one for one in landing.objects()} == before

    root = f"s3a://{landing.settings.s3.raw_bucket}/"
    rows = validate(read_objects(landing.spark, SIMULATOR, before.values(), root), SIMULATOR)
    reasons = [tuple(row["reasons"]) for row in rows.select("reasons").collect()]
    assert Counter(reasons) == Counter(
        [
            *(tuple(row["reasons"]) for row in expected),
            *[("unreadable_row",)] * len(HARMFUL),
            ("negative_amount",),
            ("future_time",),
            (),
        ]
    )


def _kill_foreach_batch(settings: Settings) -> None:
    """Kill the Python process of Spark's server that lands batches."""
    server = psutil.Process(platform.read_status(settings)["services"]["spark"]["pid"])
    for process in server.children(recursive=True):
        with suppress(psutil.ZombieProcess):
            if "foreach_batch_worker" in " ".join(process.cmdline()):
                process.kill()


def test_an_interrupted_landing_lands_each_message_once_when_it_runs_again(
    landing: Landing, tmp_path: Path
) -> None:
    """Its process is killed, then the object store is away, and at last the checkpoint is lost."""
    golden = [line for line in (_GOLDEN / "delivery.jsonl").read_bytes().splitlines() if line]
    messages = [b" " * number + line for number in range(4) for line in golden]
    _stream(landing.settings, messages, tmp_path / "log")

    with pytest.raises(PySparkException, match=r"foreach|Python worker|EOF|STREAM"):
        landing.interrupt(lambda: _kill_foreach_batch(landing.settings))
    with ExitStack() as stack:
        with pytest.raises(StoreUnreachableError, match=_AWAY):
            landing.interrupt(lambda: stack.enter_context(away(landing.settings, "s3")))
        with pytest.raises(StoreUnreachableError, match=_AWAY):
            landing.land()
    assert sum(one.sent for one in landing.progress().accounts.values()) < len(messages)

    landing.land()
    accounts = list(landing.progress().accounts.values())
    assert sum(one.validated + one.rejected for one in accounts) == len(messages)
    assert sum(one.sent for one in accounts) == len(messages)
    assert sum(one.repeated for one in accounts) == 0
    assert len(landing.lines()) == len(messages)

    landing.checkpoint += "-new"
    _stream(landing.settings, [b"one more"], tmp_path / "log")
    with pytest.raises(StreamBatchError, match=r"^Batch \d+ of simulator has landed before"):
        landing.land()
    assert list(landing.progress().accounts.values()) == accounts
