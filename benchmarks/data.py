"""The location of evaluation data, which may be absent."""

from pathlib import Path
from typing import Final

from contracts.settings import REPO

HANDBOOK: Final = REPO.parent / "shared" / "data" / "handbook" / "raw_daily"
NO_HANDBOOK: Final = (
    "the handbook's days are not in ../shared/data/handbook/raw_daily (evaluation data, which this"
    " repository does not carry)"
)


def handbook_days() -> list[Path]:
    """Return the handbook's daily files, oldest first; empty if they are absent."""
    return sorted(HANDBOOK.glob("*.parquet"))
