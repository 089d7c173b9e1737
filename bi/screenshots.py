"""Write docs/images from the running Superset: ``python -m bi.screenshots``."""

from __future__ import annotations

import sys
from pathlib import Path

from bi.browser import BrowserError, browser
from bi.dashboards import DASHBOARDS
from contracts.settings import REPO, SettingsError, load_settings


def main(folder: Path = REPO / "docs" / "images") -> int:
    """Save a screenshot of each dashboard; return an exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with browser(load_settings()) as window:
            window.log_in()
            for dashboard in DASHBOARDS:
                window.open(dashboard)
                file = folder / f"{dashboard.name}.png"
                window.picture(file)
                sys.stdout.write(f"wrote {file.relative_to(REPO)}\n")
    except (BrowserError, SettingsError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
