"""Decisions a second of the decision API, and the time that a caller waits.

`python -m benchmarks.serving [--seconds S]`, on the running platform after `make demo` and before
`make serve`. An API runs on a copy of the warehouse, with the champion of the platform. Callers,
API and Postgres share the machine.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from statistics import quantiles
from typing import Any, Final

import aiohttp
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.page import write_section
from benchmarks.rounds import service_pids
from benchmarks.scratch import copied_warehouse
from contracts.serving_tables import RECENT_PAYMENT
from contracts.settings import HOST, REPO, Settings, load_settings
from embedded.places import python
from embedded.services.api import VARIABLES
from embedded.services.common import environment, http_ok
from lake.catalog import open_catalog
from lake.read import read_dates
from ml.dataset import LABELS_TABLE, last_day, snapshot_of
from serving.access.access_tokens import AccessTokens
from serving.access.signing_keys import SigningKeys
from serving.access.users import Caller
from serving.fill import KEPT_DAYS, recent, store_rows
from serving.tokens import Tokens
from sources.registry import DEFAULT_SOURCE

_COPIES: Final = 30
"""Worlds like the sample, with their own customers and merchants, of which each decides little."""
_RATES: Final = (100, 300, 500)
_CALLERS: Final = 64
_PORTS_FROM_BASE: Final = (910, 911)
_START_SECONDS: Final = 120
_PAYMENTS: Final = "processed.transactions"
_LABEL: Final = ("source_system", "event_id", "is_fraud", "known_at")


@dataclass(frozen=True)
class Load:
    """What callers saw: seconds from the planned time of each request to its answer."""

    waits: Sequence[float]
    seconds: float
    cpu: float
    database_cpu: float
    counts: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Return answers a second."""
        return len(self.waits) / self.seconds

    def percentile(self, percent: int) -> float:
        """Return the milliseconds within which a share of the answers came."""
        return quantiles(self.waits, n=100, method="inclusive")[percent - 1] * 1_000


def main() -> int:
    """Run the benchmark and write its section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="length of each run (20)")
    seconds = parser.parse_args().seconds
    busy = os.getloadavg()[0]
    settings = load_settings()
    tokens = AccessTokens(SigningKeys(settings.signing_keys_file))
    token = tokens.issue(Caller("benchmark", "service"))
    ports = [settings.port_base + more for more in _PORTS_FROM_BASE]
    postgres = service_pids(settings, "postgres")
    with copied_warehouse(settings, "bench_serving") as copy:
        payments = _filled_store(settings, copy.settings.warehouse.dsn("loader"))
        with _api(settings, copy.settings.warehouse.database, ports[0]) as api:

            def load(rate: float | None, change: Callable[[dict[str, Any]], Any]) -> Load:
                bodies = (json.dumps(change(next(payments))).encode() for _ in itertools.count())
                address = f"http://{HOST}:{ports[0]}/api/v1/detect"
                return asyncio.run(_load(address, token, bodies, rate, seconds, [api, postgres]))

            load(None, dict)  # connections, prepared statements, caches
            most = load(None, dict)
            with_reasons = load(None, _higher)
            fixed = {rate: load(rate, dict) for rate in _RATES}
        bare_argv = [python(), "-m", "uvicorn", "benchmarks.serving:bare", "--no-access-log"]
        address = f"http://{HOST}:{ports[1]}/"
        with _process([*bare_argv, "--port", str(ports[1])], environment(settings), address) as one:
            nothing = itertools.repeat(b"{}")
            floor = asyncio.run(_load(address, token, nothing, None, seconds, [[one], postgres]))
    lines = [
        f"{_CALLERS} callers, {_COPIES} copies of the customers and merchants of the sample, each"
        " with 45 days of history; features, champion, rules and the durable decision log."
        " When more payments arrive than the API decides, rules alone decide on the rest."
        " The bare route is a Starlette application that answers an empty object, under the same"
        " server. CPU of a decision is that of the API, and that of Postgres. The goals are 2,500"
        " decisions a second and core, 50 ms for 99 % at 500 a second.",
        "",
        "| load | answers/s | with reasons | by rules alone | CPU of API, ms | of Postgres, ms"
        " | 50 %, ms | 95 %, ms | 99 %, ms |",
        "|---|---|---|---|---|---|---|---|---|",
        _line("as many as it takes", most),
        _line("the same, each amount 900 higher", with_reasons),
        *(_line(f"{rate} a second", one) for rate, one in fixed.items()),
        _line("bare route, as many as it takes", floor),
    ]
    sys.stdout.write("\n".join([*lines, ""]))
    write_section("serving", title="The decision API", lines=lines, busy=busy)
    return 0


def _higher(payment: dict[str, Any]) -> dict[str, Any]:
    return payment | {"amount": str(Decimal(payment["amount"]) + 900)}


def _line(name: str, load: Load) -> str:
    count = len(load.waits)
    shares = " | ".join(f"{load.counts[name] / count:.0%}" for name in ("reasons", "degraded"))
    waits = " | ".join(f"{load.percentile(percent):,.0f}" for percent in (50, 95, 99))
    failed = f" ({load.counts['failed']} failed)" if load.counts["failed"] else ""
    return (
        f"| {name}{failed} | {load.rate:,.0f} | {shares}"
        f" | {load.cpu / count * 1_000:.2f} | {load.database_cpu / count * 1_000:.2f} | {waits} |"
    )


async def _load(
    address: str,
    token: str,
    bodies: Iterator[bytes],
    rate: float | None,
    seconds: float,
    processes: Sequence[Sequence[int]],
) -> Load:
    """Send requests at a fixed rate, or each when a caller has the answer before.

    A wait begins when the request is due, so that a late request counts its delay.
    """
    waits: list[float] = []
    counts = Counter[str]()

    async def send(session: aiohttp.ClientSession, due: float) -> None:
        async with session.post(address, data=next(bodies)) as answer:
            content = await answer.read()
        waits.append(time.perf_counter() - due)
        decision = json.loads(content)
        counts["reasons"] += bool(decision.get("reason_codes"))
        counts["degraded"] += decision.get("degraded", False)
        counts["failed"] += answer.status != 200

    headers = {"Authorization": f"Bearer {token}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        used, began = [_cpu(one) for one in processes], time.perf_counter()
        if rate is None:

            async def repeat() -> None:
                while time.perf_counter() < began + seconds:
                    await send(session, time.perf_counter())

            await asyncio.gather(*(repeat() for _ in range(_CALLERS)))
        else:
            sent: list[Awaitable[None]] = []
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent.append(asyncio.create_task(send(session, due)))
            await asyncio.gather(*sent)
        took = time.perf_counter() - began
        cpu = [_cpu(one) - before for one, before in zip(processes, used, strict=True)]
    return Load(waits, took, cpu[0], cpu[1], counts)


def _cpu(processes: Sequence[int]) -> float:
    """Return the CPU seconds of processes and their children."""
    first = [psutil.Process(pid) for pid in processes]
    members = {one for parent in first for one in (parent, *parent.children(recursive=True))}
    return sum(sum(one.cpu_times()[:2]) for one in members)


def _filled_store(settings: Settings, dsn: str) -> Iterator[dict[str, Any]]:
    """Fill the online store with copies of the last days of the lake; yield new payments.

    Customers and merchants have the identifiers of the sample with the number of the copy. The
    payments are those of the last date, a day later.
    """
    tokens, source, catalog = (
        Tokens(settings.pseudonym_key_file),
        DEFAULT_SOURCE,
        open_catalog(settings),
    )
    files = sorted((REPO / "data" / source / "transactions").glob("*.parquet"))
    sample = pd.concat(pd.read_parquet(file, columns=["acct_num"]) for file in files)
    clear = {tokens.token("customer", source, one): one for one in sample["acct_num"].unique()}
    payments_at = snapshot_of(catalog, _PAYMENTS, {})
    labels_at = snapshot_of(catalog, LABELS_TABLE, {})
    last = last_day(catalog, payments_at, source, _PAYMENTS)
    dates = [last - timedelta(days) for days in range(KEPT_DAYS)]
    rows = read_dates(catalog, _PAYMENTS, payments_at, dates, source, RECENT_PAYMENT).read_all()
    labels = read_dates(catalog, LABELS_TABLE, labels_at, dates, source, _LABEL).read_all()
    events, counts = recent(rows, labels)

    def copied(number: int) -> pa.Table:
        def renamed(name: str, value: str) -> str | None:
            if name == "customer_id":
                return tokens.token("customer", source, f"{clear[value]}-{number}")
            return f"{value}-{number}"

        columns = {name: events[name] for name in events.column_names}
        for name in ("event_id", "customer_id", "counterparty_id"):
            values = events[name].to_pylist()
            new = {value: renamed(name, value) for value in set(values)}
            columns[name] = pa.array([new[value] for value in values], events[name].type)
        return pa.table(columns)

    store_rows(dsn, source, last, pa.concat_tables(map(copied, range(_COPIES))), counts)
    newest = rows.filter(pc.equal(rows["event_date"], last)).to_pylist()
    return _requests(newest, clear)


def _requests(
    newest: Sequence[dict[str, Any]], clear: Mapping[str | None, str]
) -> Iterator[dict[str, Any]]:
    order = random.Random(7)  # noqa: S311 - the same payments in each run
    for number in itertools.count():
        payment, copy = order.choice(newest), order.randrange(_COPIES)
        customer = f"{clear[payment['customer_id']]}-{copy}"
        yield {
            "transaction_id": f"benchmark-{number}",
            "customer_id": customer,
            "card_number": customer,
            "merchant_id": f"{payment['counterparty_id']}-{copy}",
            "merchant_category": payment["merchant_category"],
            "amount": str(payment["amount"]),
            "timestamp": (payment["event_at"] + timedelta(1)).isoformat(),
            "lat": payment["transaction_lat"],
            "lon": payment["transaction_lon"],
            "home_lat": payment["home_lat"],
            "home_lon": payment["home_lon"],
        }


@contextmanager
def _api(settings: Settings, database: str, port: int) -> Iterator[list[int]]:
    """Run the API on a database until the end of the block; yield its process."""
    own = {"TOLLGATE_WAREHOUSE__DATABASE": database, **VARIABLES}
    argv = [python(), "-m", "serving", "--port", str(port)]
    with _process(argv, environment(settings, own), f"http://{HOST}:{port}/health/ready") as pid:
        yield [pid]


@contextmanager
def _process(argv: Sequence[str], variables: Mapping[str, str], ready: str) -> Iterator[int]:
    """Run a process until the end of the block; yield its number once an address answers 200."""
    process = subprocess.Popen(argv, cwd=REPO, env=variables)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while http_ok(ready) is None:
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"{ready} gives no answer: see its messages above.")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


async def _nothing(_: Request) -> Response:
    return Response(b"{}", media_type="application/json")


bare: Final = Starlette(routes=[Route("/", _nothing, methods=["GET", "POST"])])


if __name__ == "__main__":
    raise SystemExit(main())
