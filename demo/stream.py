"""Stream a simulated world through Kafka and the validation service for a minute, and land it."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import httpx
from confluent_kafka import TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from contracts.assets import ALERTS_DAG, STREAM_DAG
from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.settings import HOST, Settings, SettingsError, load_settings
from contracts.topics import REJECTED, VALIDATED
from demo.airflow import AirflowAwayError, AirflowClient, DagRun
from demo.stream_alerts import alerts_table, ends, raised_since, wait_for_scores, waiting
from embedded.services.common import http_ok
from simulator.settings import Settings as World
from sources.errors import StoreUnreachableError
from sources.simulator import SIMULATOR
from sources.store import s3_client
from sources.stream_batches import read_progress
from streaming.connection import StreamError
from streaming.producer import Sent, send

_CUSTOMERS = 2_000
_DRAIN_SECONDS = 30.0
_SCORE_SECONDS = 120.0
_LATER = (
    "Airflow does not run. The messages wait in Kafka, which keeps them for a week: run `make up`,"
    " and unpause the DAG `land_stream`, which lands them in Raw."
)


def run(
    settings: Settings, console: Console, seconds: float, rate: int, first_day: int
) -> Counter[str]:
    """Stream for some seconds; print what becomes of the messages, and return their numbers.

    The stream begins with the day `first_day` of the simulated world, counted from 0.

    The numbers are those of Kafka's acknowledgements (`sent`) and of the metrics of the validation
    service: by topic and by reason.

    Raises:
        StreamError: when Kafka refuses messages, or messages are neither validated nor rejected.
        httpx.HTTPError: when the validation service does not answer.
    """
    before, began = counted(settings), time.monotonic()

    def since() -> Counter[str]:
        now = counted(settings)
        return Counter({name: now[name] - before[name] for name in now} | {"lag": now["lag"]})

    def show(sent: Sent) -> None:
        found = since()
        console.print(
            f"{time.monotonic() - began:4.0f} s  {sent.acknowledged:,} sent,"
            f" {found[VALIDATED.name]:,} validated, {found[REJECTED.name]:,} rejected,"
            f" {found['lag']:,} waiting"
        )

    argv = [sys.executable, "-m", "simulator", "--stream", f"--rate={rate}"]
    argv += [f"--customers={_CUSTOMERS}", f"--first-day={first_day}"]
    world = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        lines = _until(world.stdout or (), seconds)
        sent = send(lines, settings.kafka, SIMULATOR, show)
    finally:
        world.kill()
        world.communicate()
    deadline = time.monotonic() + _DRAIN_SECONDS
    found = since()
    while (done := found[VALIDATED.name] + found[REJECTED.name]) < sent.acknowledged:
        if time.monotonic() > deadline:
            raise StreamError(
                f"The validation service has counted {done:,} of {sent.acknowledged:,} messages in"
                f" {_DRAIN_SECONDS:.0f} s: see `make logs SERVICE=validator`."
            )
        time.sleep(0.2)
        found = since()
    if sent.refused:
        raise StreamError(f"Kafka refused {sent.refused:,} messages. The first: {sent.refusal}")
    if not sent.acknowledged:
        raise StreamError("The simulator has written no payment: its message is above.")
    found["sent"] = sent.acknowledged
    console.print(_table(found))
    return found


def _first_day(settings: Settings) -> int:
    """Return the day of the world after the newest one that has landed, so that none repeats."""
    try:
        s3 = s3_client(settings, "lander")
        progress = read_progress(s3, settings.s3.raw_bucket, SIMULATOR.name, {})
    except StoreUnreachableError:
        return 0  # without the platform nothing lands
    if progress.newest is None:
        return 0
    return (progress.newest.date() - World().start_date).days + 1


def land(settings: Settings, console: Console) -> DagRun:
    """Land the messages in Raw with the DAG `land_stream`; print the days that are complete.

    Raises:
        AirflowAwayError: when Airflow does not run.
    """
    with AirflowClient(settings) as client:
        for dag_id in (STREAM_DAG, ALERTS_DAG):
            client.pause(dag_id, paused=False)
        run = client.start(STREAM_DAG, {"source": SIMULATOR.name})
        console.print(f"landing: {run.dag_id} run {run.run_id}")
        while not run.finished:
            time.sleep(1)
            run = client.run(run.dag_id, run.run_id)
        if run.state != "success":
            console.print(client.what_failed(run))
            return run
    s3 = s3_client(settings, "lander")
    progress = read_progress(s3, settings.s3.raw_bucket, SIMULATOR.name, {})
    landed = sum(account.validated + account.rejected for account in progress.accounts.values())
    # Unpausing may have started a run that landed them before this one.
    days = progress.complete_days(SIMULATOR.zone)
    waiting = sum(len(objects) for day, objects in progress.pending.items() if day not in days)
    console.print(
        f"{landed:,} messages are in Raw; {waiting} objects wait until their day is complete."
    )
    console.print(
        f"The batch line takes {len(days)} complete days: {', '.join(map(str, days))}."
        if days
        else "No further day is complete."
    )
    return run


def _until(lines: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    """Yield whole lines for some seconds from the first one on."""
    deadline = None
    for line in lines:
        deadline = deadline or time.monotonic() + seconds
        if time.monotonic() > deadline:
            return
        yield line


def counted(settings: Settings) -> Counter[str]:
    """Return the messages by topic and by reason since the service started, and the lag.

    Raises:
        httpx.HTTPError: when the validation service does not answer.
    """
    page = httpx.get(f"http://{HOST}:{settings.port('validator')}/metrics", timeout=10)
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(page.raise_for_status().text):
        for sample in family.samples:
            if sample.name == "tollgate_stream_lag":
                found["lag"] += int(sample.value)
            elif sample.name in ("tollgate_stream_messages_total", "tollgate_stream_rejects_total"):
                (label,) = sample.labels.values()
                found[label] += int(sample.value)
    return found


def _table(found: Counter[str]) -> Table:
    table = Table(title="Messages", title_justify="left")
    table.add_column("")
    table.add_column("messages", justify="right")
    table.add_column("why")
    table.add_row("sent", f"{found['sent']:,}")
    table.add_row("validated", f"{found[VALIDATED.name]:,}")
    table.add_row("rejected", f"{found[REJECTED.name]:,}")
    for reason in RejectReason:
        if found[reason]:
            table.add_row(f"  {reason}", f"{found[reason]:,}", DESCRIPTIONS[reason])
    return table


def _show_alerts(
    settings: Settings, console: Console, since: Sequence[TopicPartition], began: datetime
) -> None:
    """Print the alerts of the stream, once the scorer has scored its payments."""
    if left := wait_for_scores(settings, _SCORE_SECONDS):
        console.print(f"{left:,} payments wait for their score: see `make logs SERVICE=scorer`.")
    raised = raised_since(settings.kafka, since, began)
    console.print(alerts_table(raised))
    if raised.seconds:
        console.print(
            f"Half of the alerts came within {raised.within(50):.1f} s of the validation of their"
            f" payment, 95 % within {raised.within(95):.1f} s."
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stream; return 1 after an error message when something fails."""
    parser = argparse.ArgumentParser("python -m demo.stream", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to stream (60)")
    parser.add_argument("--rate", type=int, default=500, help="messages a second (500)")
    options = parser.parse_args(argv)
    if options.seconds <= 0 or options.rate <= 0:
        parser.error("--seconds and --rate are above 0")
    try:
        settings, console = load_settings(), Console(highlight=False)
        waiting(settings)  # nothing is sent while the scorer is away
        since, began = ends(settings.kafka), datetime.now(UTC)
        run(settings, console, options.seconds, options.rate, _first_day(settings))
        _show_alerts(settings, console, since, began)
        search = f"{settings.opensearch.url}/rejects/_search"
        if http_ok(search) is not None:
            console.print(f"Rejects are searchable at {search}: see docs/stream.md.")
        if http_ok(f"{settings.airflow.url}/api/v2/version") is None:
            console.print(_LATER)
            return 0
        return 0 if land(settings, console).state == "success" else 1
    except AirflowAwayError as problem:
        sys.stderr.write(f"The messages are not landed in Raw: {problem}\n")
        return 1
    except (StreamError, SettingsError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except httpx.HTTPError as problem:
        sys.stderr.write(
            f"The validation service or the scorer is away ({problem}): run `make stream`.\n"
        )
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
