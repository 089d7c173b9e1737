"""Keep validation results as files in the layout that Great Expectations' docs builder reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path("gates")
"""Folder of validation results inside the state folder."""
PAGES: Final = Path("docs/gx")
"""Folder of the rendered pages inside the state folder."""


@dataclass(frozen=True)
class ResultStore:
    """Validation results under a state folder: `gates/<suite>/<run>/<time>/<window>.json`."""

    state_dir: Path

    def keep(
        self, results: Sequence[Any], suite: str, window: str, run_id: str, judged_at: datetime
    ) -> Path:
        """Write the results of one table in one gate and return the page that will show them."""
        when = f"{judged_at:%Y%m%dT%H%M%S.%fZ}"
        place = Path(*suite.split("."), run_id, when, window)
        file = self.state_dir / RESULTS / place.with_name(f"{window}.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.write_text(json.dumps(_document(results, suite, run_id, judged_at)))
        part.replace(file)
        return self.state_dir / PAGES / "validations" / place.with_name(f"{window}.html")


def _document(
    results: Sequence[Any], suite: str, run_id: str, judged_at: datetime
) -> dict[str, Any]:
    from great_expectations import __version__

    passed = sum(bool(item.success) for item in results)
    return {
        "success": passed == len(results),
        "suite_name": suite,
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
            "run_id": {"run_name": run_id, "run_time": judged_at.isoformat()},
            "active_batch_definition": {"data_asset_name": suite},
        },
        "id": None,
    }
