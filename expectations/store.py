"""Keep validation results as files in the layout that Great Expectations' docs builder reads."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

RESULTS = Path("gates")
"""Folder of validation results inside the state folder."""
PAGES = Path("docs/gx")
"""Folder of the rendered pages inside the state folder."""


@dataclass(frozen=True)
class Report:
    """A kept validation: its file, and the page that will show it."""

    file: Path
    page: Path


@dataclass(frozen=True)
class ResultStore:
    """Validation results under a state folder: `gates/<suite>/<run>/<time>/<window>.json`."""

    state_dir: Path

    def keep(
        self, result: Any, suite: str, window: str, run_id: str, judged_at: datetime
    ) -> Report:
        """Write one validation result; a result is never changed afterwards."""
        when = f"{judged_at:%Y%m%dT%H%M%S.%fZ}"
        place = Path(*suite.split("."), run_id, when, window)
        file = self.state_dir / RESULTS / place.with_name(f"{place.name}.json")
        page = self.state_dir / PAGES / "validations" / place.with_name(f"{place.name}.html")
        plain = result.to_json_dict()
        plain["suite_name"] = suite
        plain["meta"]["run_id"] = {"run_name": run_id, "run_time": judged_at.isoformat()}
        # A query's text is long and says nothing that the page needs.
        plain["meta"].pop("batch_spec", None)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        part.write_text(json.dumps(plain))
        part.replace(file)
        return Report(file, page)
