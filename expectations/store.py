"""Gate results stored as files, from which the data docs are rendered.

`gates/<gate>/<table>/<run>/<time>/<window>.json` has the validation results of one table, in the
format of Great Expectations' stores; `gates/<gate>/<time>_<run>.json` has the gate result.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from contracts.render.to_gx import CRITICAL
from contracts.results import CheckResult, GateResult

RESULTS: Final = Path("gates")
"""Folder of validation results inside the state folder."""
PAGES: Final = Path("docs/gx")
"""Folder of the rendered pages inside the state folder."""
NOT_EVALUATED: Final = "not evaluated"
"""Prefix of the observed value of a check that could not be evaluated."""


@dataclass(frozen=True)
class TableVerdict:
    """Result of a gate for one table; `place` is the path of its results and of its page."""

    table: str
    place: str
    checks: int
    failed: int
    warned: int

    @property
    def page(self) -> str:
        """Return the page of these results inside the folder of pages."""
        return f"validations/{self.place}.html"

    @property
    def results(self) -> str:
        """Return the file of these results inside the folder of results."""
        return f"{self.place}.json"


@dataclass(frozen=True)
class StoredResult:
    """Summary of one gate result, small enough for an index over all results.

    Its file has these names as keys; `judged_at` is when the gate ran.
    """

    gate: str
    window: str
    run_id: str
    judged_at: str
    passed: bool
    tables: tuple[TableVerdict, ...]
    failed: tuple[CheckResult, ...]

    @property
    def report(self) -> TableVerdict | None:
        """Return the most important table: the first with a failed check, else with a warning."""
        ranked = sorted(self.tables, key=lambda t: (t.failed == 0, t.warned == 0))
        return ranked[0] if ranked else None

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Read a gate result from its file."""
        tables = tuple(TableVerdict(**table) for table in plain["tables"])
        failed = tuple(CheckResult(**check) for check in plain["failed"])
        return cls(**{**plain, "tables": tables, "failed": failed})


def save(
    state_dir: Path,
    gate_result: GateResult,
    results: Mapping[str, Sequence[Any]],
    checked_at: datetime,
) -> GateResult:
    """Write a gate result and the results of each table; return it with its page."""
    when = f"{checked_at:%Y%m%dT%H%M%S.%fZ}"
    verdicts = []
    for table, validations in results.items():
        checks = [check for check in gate_result.checks if check.table == table]
        name = table.split(".")[-1]
        place = f"{gate_result.gate}/{name}/{gate_result.run_id}/{when}/{gate_result.window.key}"
        document = _document(validations, checks, gate_result, table, checked_at)
        write_whole(state_dir / RESULTS / f"{place}.json", json.dumps(document))
        closed = sum(not c.passed and c.severity == CRITICAL for c in checks)
        warned = sum(not c.passed for c in checks) - closed
        verdicts.append(TableVerdict(table, place, len(checks), closed, warned))
    stored = StoredResult(
        gate_result.gate,
        gate_result.window.key,
        gate_result.run_id,
        checked_at.isoformat(timespec="seconds"),
        gate_result.passed,
        tuple(verdicts),
        tuple(check for check in gate_result.checks if not check.passed),
    )
    file = state_dir / RESULTS / gate_result.gate / f"{when}_{gate_result.run_id}.json"
    write_whole(file, json.dumps(asdict(stored)))
    if stored.report is None:
        return gate_result
    return replace(gate_result, report=str(state_dir / PAGES / stored.report.page))


def stored_results(state_dir: Path) -> list[StoredResult]:
    """Return all gate results under a state folder, oldest first."""
    files = sorted((state_dir / RESULTS).glob("*/*.json"), key=lambda file: file.name)
    return [StoredResult.from_dict(json.loads(file.read_text())) for file in files]


def write_whole(file: Path, text: str) -> None:
    """Write a file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def _document(
    results: Sequence[Any],
    checks: Sequence[CheckResult],
    gate_result: GateResult,
    table: str,
    checked_at: datetime,
) -> dict[str, Any]:
    from great_expectations import __version__

    passed = sum(bool(item.success) for item in results)
    return {
        "success": passed == len(results),
        "suite_name": f"{gate_result.gate}.{table.split('.')[-1]}",
        "suite_parameters": {},
        "results": [item.to_json_dict() for item in results],
        "statistics": {
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100 * passed / max(len(results), 1),
        },
        "meta": {
            "great_expectations_version": __version__,
            "run_id": {"run_name": gate_result.run_id, "run_time": checked_at.isoformat()},
            "active_batch_definition": {"data_asset_name": table},
            "checks": [asdict(check) for check in checks],
        },
        "id": None,
    }
