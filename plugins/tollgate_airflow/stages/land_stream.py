"""Landing of the stream in Raw, and the days that are complete."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from contracts.settings import get_settings
from contracts.stage_results import LandResult
from contracts.stages import Stage
from contracts.topics import TRANSACTIONS
from contracts.windows import Window
from tollgate_airflow import connections, gates, handover, lake, raw
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run
from tollgate_airflow.task_metrics import belongs_to

if TYPE_CHECKING:
    from sources.stream_batches import Progress

_log = logging.getLogger(__name__)
_CHECKPOINTS: Final = "checkpoints/land_stream"


class StreamBehindError(ConnectionError):
    """Raised when messages wait for validation; the landing can be retried."""


@guarded
def land(context: Any) -> list[dict[str, Any]]:
    """Land the outcomes of messages; return the landings of the days that are complete.

    The late messages of a day that has landed follow when another day becomes complete.
    """
    from sources.land import land_objects
    from sources.registry import source as declared
    from sources.stream_batches import read_progress, write_progress
    from spark.jobs.land_stream import land_stream
    from streaming.connection import offsets

    settings = get_settings()
    source = declared(context["params"]["source"])
    s3, bucket = connections.s3("lander"), settings.s3.raw_bucket
    sent = offsets(settings.kafka, "lander", TRANSACTIONS)
    with lake.session() as spark:
        checkpoint = f"s3a://{settings.s3.lake_bucket}/{_CHECKPOINTS}/{source.name}"
        land_stream(spark, settings.kafka, source.name, checkpoint)
    oldest = {partition: first for partition, (first, _) in sent.items()}
    progress = read_progress(s3, bucket, source.name, oldest)
    _require_validated(progress, sent)
    if progress.newest is None:
        _log.info("no valid payment has arrived")
        return []
    run = Run.of(Stage.LAND, context, _day(source.name, progress.newest.date()))
    belongs_to(run)
    _gate(progress, run)

    complete = {
        day: Run.of(Stage.LAND, context, _day(source.name, day))
        for day in progress.complete_days(source.zone)
    }
    before = {day: handover.recorded(LandResult, run) for day, run in complete.items()}
    landings = []
    for day, run in complete.items():
        listed = [one for it in raw.manifests(s3, before[day]) for one in it.objects]
        if all(one in listed for one in progress.pending[day]):
            progress = progress.without(day)
        elif None in before.values():
            objects = progress.pending[day]
            landings.append(land_objects(run.window, s3, bucket, objects, run_id=run.run_id))
    write_progress(s3, bucket, source.name, progress)
    for landed in landings:
        _log.info("%s is complete: %s rows", landed.window.key, landed.balances)
    return [landed.to_dict() for landed in landings]


def _day(source: str, day: date) -> Window:
    return Window(source, day, day)


def _require_validated(progress: Progress, sent: Mapping[int, tuple[int, int]]) -> None:
    """Require an outcome of each message that was sent before the landing began.

    Raises:
        StreamBehindError: when the validation service is behind.
    """
    waiting = 0
    for partition, (oldest, end) in sent.items():
        account = progress.accounts.get(partition)
        waiting += max(end - (account.end if account else oldest), 0)
    if waiting:
        raise StreamBehindError(
            f"{waiting:,} messages wait for validation: see `make status` and"
            " `make logs SERVICE=validator`. The landing is retried."
        )


def _gate(progress: Progress, run: Run) -> None:
    """Check that each message has one outcome in Raw; record the result under the newest day."""
    from expectations.gates import gate_stream

    run_id = f"messages_{run.run_id}"
    state_dir = get_settings().state_dir
    _log.info(gates.require_passed(gate_stream(progress.accounts, run.window, run_id, state_dir)))
