"""Alternating runs of contestants: wall and CPU seconds, ratios within a round."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import psutil

from contracts.settings import Settings
from embedded.platform import read_status
from embedded.supervisor import session_members


@dataclass(frozen=True)
class Timing:
    """Seconds of one call; `cpu` includes all processes that worked for it."""

    wall: float
    cpu: float


def interleaved(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 3,
    processes: Sequence[int] = (),
) -> dict[str, list[Timing]]:
    """Call each contestant once in each round, in reverse order every second round.

    CPU seconds are those of this process, of the `processes` named and of the children of both.
    """
    taken: dict[str, list[Timing]] = {name: [] for name in contestants}
    for number in range(rounds):
        names = list(contestants)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            cpu, began = cpu_seconds(processes), perf_counter()
            contestants[name]()
            wall = perf_counter() - began
            taken[name].append(Timing(wall, cpu_seconds(processes) - cpu))
    return taken


def cpu_seconds(processes: Sequence[int] = ()) -> float:
    """Return the CPU seconds of this process, the given ones, and their children."""
    total = 0.0
    seen: set[int] = set()
    for process in (psutil.Process(), *_alive(processes)):
        for member in _with_children(process):
            if member.pid in seen:
                continue
            seen.add(member.pid)
            try:
                times = member.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def _alive(pids: Sequence[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        with suppress(psutil.NoSuchProcess):  # idle Spark workers exit
            yield psutil.Process(pid)


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def service_pids(settings: Settings, *names: str) -> list[int]:
    """Return the processes of services of the embedded platform."""
    services = read_status(settings)["services"]
    pids = []
    for name in names:
        state = services[name]
        pids += [member.pid for member in session_members(state["pid"], state["started"])]
    return pids


def table(timings: Mapping[str, Sequence[Timing]], against: str) -> list[str]:
    """Return a Markdown table: medians, and the median of the ratios to `against` by round."""
    floor = timings[against]
    lines = [
        f"| | wall, s | CPU, s | wall / {against} | CPU / {against} | rounds |",
        "|---|---|---|---|---|---|",
    ]
    for name, taken in timings.items():
        walls = [mine.wall / other.wall for mine, other in zip(taken, floor, strict=True)]
        cpus = [mine.cpu / other.cpu for mine, other in zip(taken, floor, strict=True)]
        lines.append(
            f"| {name} | {median(t.wall for t in taken):.2f} | {median(t.cpu for t in taken):.2f}"
            f" | {median(walls):.2f} | {median(cpus):.2f} | {len(taken)} |"
        )
    return lines
