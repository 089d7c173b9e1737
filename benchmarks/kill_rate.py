"""Inject every fault of the library at every hop, and record the gate that detects it.

`python -m benchmarks.kill_rate` (`make kill-rate`) starts a separate platform and runs the history
of a source through the pipeline, whose gates must all pass. It then injects faults into one more
day: as delivered, on the audit branches, in the shadow tables of STAGING and in the audit schema,
each time into a copy. It prints the gate that detected each fault and the missed faults, and writes
`docs/kill-rate.md`. The shipped sample is always used, the handbook's days if ../shared/data has
them.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

from rich.console import Console

from benchmarks.data import HANDBOOK, NO_HANDBOOK, handbook_days
from benchmarks.direct import DirectLine
from benchmarks.faults.library import FAULTS
from benchmarks.hops import DELIVERED, Copies
from benchmarks.kill_rate_page import CLEAN, HOPS, Report, Trial, write_page
from contracts.results import GateFailed
from contracts.settings import REPO, Settings, load_settings
from contracts.windows import Window
from embedded import platform
from embedded.services.common import environment

SAMPLE: Final = REPO / "data" / "sparkov" / "transactions"
_PORTS_FROM_BASE: Final = 400
FILES: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {
    "truncated file, in its bytes": lambda own, _: own[: round(len(own) * 0.7)],
    "stale day, byte for byte": lambda _, before: before,
}


def main() -> int:
    """Start the trials on a separate platform, or run them there; 1 when too many were missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_rate", description=__doc__)
    parser.add_argument("--source", choices=sorted(DELIVERED), action="append")
    parser.add_argument("--days", type=int, help="days of history at most (default: all)")
    parser.add_argument("--hop", choices=HOPS, action="append")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    settings = load_settings()
    if options.inside:
        return _measure(settings, options)
    state = settings.state_dir / "kill-rate"
    shutil.rmtree(state, ignore_errors=True)
    sources = options.source or [*(["handbook"] if handbook_days() else []), "sparkov"]
    if not handbook_days():
        sys.stderr.write(f"without the handbook: {NO_HANDBOOK}\n")
    folders = {source: str(state / "deliveries" / source) for source in sources}
    own = {
        "TOLLGATE_STATE_DIR": str(state),
        "TOLLGATE_PORT_BASE": str(settings.port_base + _PORTS_FROM_BASE),
        "TOLLGATE_DELIVERIES": json.dumps(folders),
    }
    argv = [sys.executable, "-m", "benchmarks.kill_rate", "--inside", *sys.argv[1:]]
    try:
        return subprocess.run(argv, env=environment(settings, own), check=False).returncode
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _measure(settings: Settings, options: argparse.Namespace) -> int:
    console = Console(stderr=True, highlight=False)
    reports = []
    try:
        platform.up(settings, ["postgres", "s3", "spark"])
        settings = load_settings()  # with the keys of this platform
        for source in settings.deliveries:
            report = _of_source(settings, source, options, console)
            reports.append(report)
    finally:
        platform.down(settings)
    counted = sum(len(report.counted) for report in reports)
    caught = sum(len(report.caught) for report in reports)
    alarms = [alarm for report in reports for alarm in report.false_alarms]
    console.print(f"caught {caught} of {counted} faults, {len(alarms)} false alarms")
    if not options.source and not options.hop:
        write_page(reports)
    return 0 if caught >= 0.95 * counted and not alarms else 1


def _of_source(
    settings: Settings, source: str, options: argparse.Namespace, console: Console
) -> Report:
    """Run the history of a source through all stages, then try each fault at each hop."""
    began = perf_counter()
    delivered = HANDBOOK if source == "handbook" else SAMPLE
    files = sorted(delivered.glob("*.parquet"))
    files = files[-options.days - 1 :] if options.days else files
    settings.deliveries[source].mkdir(parents=True)
    for file in files:
        shutil.copy2(file, settings.deliveries[source] / file.name)
    history = Window.of(source, f"{files[0].stem}--{files[-2].stem}")
    day = Window.of(source, files[-1].stem)
    copies = Copies(settings, history, day, delivered, DirectLine(settings))
    report = Report(source, len(files))
    console.rule(f"{source}: {len(files)} days")
    try:
        copies.take_history()
        for hop in HOPS:
            if hop in _PREPARED:
                _PREPARED[hop](copies)
            if not options.hop or hop in options.hop:
                for trial in _trials(copies, hop):
                    report.add(trial)
                    _say(console, trial)
    except GateFailed as closed:
        report.false_alarms.append(str(closed))
        console.print(f"false alarm: {closed}")
    report.seconds = perf_counter() - began
    return report


_PREPARED: Final[dict[str, Callable[[Copies], None]]] = {
    "processed": Copies.to_audit,
    "staging": Copies.to_staging,
    "production": Copies.to_production,
}


def _trials(copies: Copies, hop: str) -> Iterator[Trial]:
    """Try the clean day, then each fault, at one hop."""
    inject = copies.raw_rows if hop == "raw" else getattr(copies, hop)
    names = DELIVERED[copies.day.source] if hop == "raw" else copies.names
    yield Trial(hop, CLEAN, inject(lambda today, *_: today))
    for fault in FAULTS:
        if not fault.applies(names):
            yield Trial(hop, fault.name, reason=f"{copies.day.source} has no {fault.needs}")
        elif hop == "sandbox" and fault.needs == "category":
            yield Trial(hop, fault.name, copies.sandbox(fault.inject, "transactions_masked"))
        else:
            yield Trial(hop, fault.name, inject(fault.inject))
    if hop == "raw":
        for name, change in FILES.items():
            yield Trial(hop, name, copies.raw_file(change))


def _say(console: Console, trial: Trial) -> None:
    if trial.reason is not None:
        outcome = f"not counted: {trial.reason}"
    elif trial.stop is None:
        outcome = "passed" if trial.fault == CLEAN else "[red]MISSED[/red]"
    else:
        outcome = f"{trial.stop.by}: {trial.stop.rule}"
    console.print(f"{trial.hop:<11} {trial.fault:<30} {outcome}")


if __name__ == "__main__":
    sys.exit(main())
