"""Results of the kill rate, and their page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.faults.library import FAULTS
from benchmarks.hops import Stop
from benchmarks.page import machine

PAGE: Final = Path(__file__).parents[1] / "docs" / "kill-rate.md"
HOPS: Final = ("raw", "processed", "sandbox", "staging", "production")
CLEAN: Final = "no fault"
_HEAD: Final = """<!-- Written by `make kill-rate`. -->
# Kill rate

The faults that each gate detects. Each fault of `benchmarks/faults/` is injected into one day of a
source at each hop, always into a copy, and the gates of this hop run as in the DAGs. A fault at Raw
is a delivered file with the fault: gate raw checks it, then, if gate raw passes, gate processed,
and the table names the gate that closed. At the later hops only the gate of the hop runs: on the
audit branch of Processed and of the Sandbox, on the shadow tables of STAGING, and in the audit
schema of PRODUCTION.

Each hop first checks an unchanged day. If a gate closes on it, or on any day of the history, this
is a false alarm.
"""


@dataclass(frozen=True)
class Trial:
    """A fault at a hop and what stopped it, or None; a fault that does not apply has a `reason`."""

    hop: str
    fault: str
    stop: Stop | None = None
    reason: str | None = None


@dataclass
class Report:
    """Results of the trials of one source."""

    source: str
    clean_days: int
    trials: list[Trial] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, trial: Trial) -> None:
        """Add a trial; a clean day that was stopped is a false alarm."""
        if trial.fault != CLEAN:
            self.trials.append(trial)
        elif trial.stop is not None:
            self.false_alarms.append(f"{trial.hop}: {trial.stop.by}, {trial.stop.rule}")

    @property
    def counted(self) -> list[Trial]:
        """Return the trials of faults that the source can have."""
        return [trial for trial in self.trials if trial.reason is None]

    @property
    def caught(self) -> list[Trial]:
        """Return the trials in which something stopped the fault."""
        return [trial for trial in self.counted if trial.stop is not None]


def write_page(reports: Sequence[Report], page: Path = PAGE) -> None:
    """Write the page, source by source."""
    counted = sum(len(report.counted) for report in reports)
    caught = sum(len(report.caught) for report in reports)
    alarms = sum(len(report.false_alarms) for report in reports)
    days = sum(report.clean_days for report in reports)
    lines = [
        _HEAD,
        machine(),
        "",
        f"**{caught} of {counted} faults caught ({caught / max(counted, 1):.1%}), {alarms} false"
        f" alarms on {days} clean days.**",
        *(line for report in reports for line in _of_source(report)),
        *_faults(),
    ]
    page.write_text("\n".join(lines) + "\n")


def _of_source(report: Report) -> Iterator[str]:
    yield f"\n## {report.source}\n"
    yield (
        f"{len(report.caught)} of {len(report.counted)} caught; {report.clean_days} clean days,"
        f" {len(report.false_alarms)} false alarms; {report.seconds:.0f} s.\n"
    )
    yield f"| fault | {' | '.join(HOPS)} |"
    yield f"|---{'|---' * len(HOPS)}|"
    for fault in dict.fromkeys(trial.fault for trial in report.trials):
        cells = [_cell([t for t in report.trials if (t.fault, t.hop) == (fault, h)]) for h in HOPS]
        yield f"| {fault} | {' | '.join(cells)} |"
    missed = [trial for trial in report.counted if trial.stop is None]
    if missed:
        yield f"\nMissed: {'; '.join(f'{t.fault} at {t.hop}' for t in missed)}."
    reasons = dict.fromkeys(f"{t.fault}: {t.reason}" for t in report.trials if t.reason)
    if reasons:
        yield f"\nNot counted: {'; '.join(reasons)}."
    for alarm in report.false_alarms:
        yield f"\nFalse alarm: {alarm}"


def _cell(trials: Sequence[Trial]) -> str:
    if not trials or trials[0].reason is not None:
        return "n/a"
    stop = trials[0].stop
    return "**missed**" if stop is None else f"{stop.by}: `{stop.rule}`"


def _faults() -> Iterator[str]:
    yield "\n## The faults\n"
    yield "| fault | what | how much |"
    yield "|---|---|---|"
    for fault in FAULTS:
        yield f"| {fault.name} | {fault.what} | {fault.severity:g} {fault.unit} |"
