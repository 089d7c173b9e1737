"""Messages a second that the stream validates, against bare msgspec.

`python -m benchmarks.stream [--days N] [--customers N]`. It needs no platform. The floor is
msgspec, which decodes the same messages into the same type and checks the limits in it.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from time import process_time
from typing import Final

import msgspec

from benchmarks.page import write_section
from simulator.days import deliver
from simulator.rows import Feed
from simulator.settings import Settings
from simulator.world import make_world
from sources.registry import source
from streaming.messages import usual_payment
from streaming.validation import Rejected, Validator

_ROUNDS: Final = 9
_REPEATS: Final = 20
"""How often the few refused messages are validated in a round."""
_GOAL: Final = 0.4
_FLOOR: Final = "bare msgspec"


def main() -> int:
    """Measure, print and write the section of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--customers", type=int, default=2_000)
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    lines = validation(simulated_messages(options.days, options.customers))
    sys.stdout.write("\n".join([*lines, ""]))
    write_section("stream", title="Stream", lines=lines, busy=busy)
    return 0


def validation(messages: Sequence[bytes]) -> list[str]:
    """Return the lines about the validation of messages, in one process and on one core."""
    simulated = source("simulator")
    validate, arrived = Validator(simulated).validate, datetime.now(UTC)
    payment = usual_payment(simulated)
    if payment is None:
        raise ValueError("no message of the simulated world is usual: there is no floor")
    decode = msgspec.json.Decoder(payment.type).decode
    verdicts = [validate(message, arrived) for message in messages]
    pairs = list(zip(messages, verdicts, strict=True))
    rejected = [message for message, verdict in pairs if isinstance(verdict, Rejected)]
    valid = [message for message, verdict in pairs if not isinstance(verdict, Rejected)]

    def validated(sent: Sequence[bytes]) -> Callable[[], None]:
        def run() -> None:
            for message in sent:
                validate(message, arrived)

        return run

    def decoded() -> None:
        for message in valid:
            decode(message)

    repeated = rejected * _REPEATS
    # A line break is valid in JSON, and no usual message has one.
    unusual = [message + b"\n" for message in valid[: len(repeated)]]
    runs = {
        _FLOOR: (len(valid), decoded),
        "valid": (len(valid), validated(valid)),
        "valid, in an unusual form": (len(unusual), validated(unusual)),
        "refused": (len(repeated), validated(repeated)),
    }
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, (count, run) in runs.items():
            begin = process_time()
            run()
            speeds[name].append(count / (process_time() - begin))
    rows = []
    for name, taken in speeds.items():
        shares = [mine / bare for mine, bare in zip(taken, speeds[_FLOOR], strict=True)]
        rows.append(f"| {name} | {median(taken):,.0f} | {median(shares):.2f} |")
    return [
        f"Validation of {len(messages):,} payments of the simulated world, of which"
        f" {len(rejected):,} are refused, in one process: median of {_ROUNDS} alternating rounds."
        f" The goal for valid messages is {_GOAL:.0%} of bare msgspec, which decodes the valid ones"
        " into the same type with the same limits.",
        "",
        "| messages | a second of CPU | of bare msgspec |",
        "|---|---|---|",
        *rows,
    ]


def simulated_messages(days: int, customers: int) -> list[bytes]:
    """Return the payments of the first days of a simulated world, as they are sent."""
    world = make_world(Settings(customers=customers))
    feed = Feed(world)
    return [
        line.removesuffix("\n").encode()
        for day in range(days)
        for lines in deliver(world, feed, day, "jsonl").lines
        for line in lines.to_pylist()
    ]


if __name__ == "__main__":
    sys.exit(main())
