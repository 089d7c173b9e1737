"""What the platform has written about itself."""

import os
from pathlib import Path


def logs_under(folder: Path) -> list[Path]:
    """Return the logs in a folder and all below it, which may come and go meanwhile."""
    return [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.endswith((".log", ".out"))
    ]
