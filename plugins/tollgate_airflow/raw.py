"""The manifests of a window that landed in Raw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.results import StageResult
from contracts.settings import get_settings
from tollgate_airflow.runs import Run

if TYPE_CHECKING:
    from sources.manifest import Manifest


def manifests(s3: Any, run: Run, landed: StageResult) -> list[Manifest]:
    """Return the newest manifest of the run's window, of the source that landed it."""
    from sources.manifest import latest

    return [latest(s3, get_settings().s3.raw_bucket, landed.details["source"], run.window)]
