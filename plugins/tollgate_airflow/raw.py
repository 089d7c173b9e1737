"""The manifests of a landing in Raw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from contracts.settings import get_settings
from contracts.stage_results import LandResult, ProcessResult

if TYPE_CHECKING:
    from sources.manifest import Manifest


def manifests(s3: Any, landed: LandResult | None) -> list[Manifest]:
    """Return the manifests of a landing, even if other deliveries have landed since."""
    return _named(s3, [landed.manifest] if landed else [])


def read_by(s3: Any, processed: ProcessResult) -> list[Manifest]:
    """Return the manifests that the processing of a window read."""
    return _named(s3, processed.manifests)


def _named(s3: Any, keys: Sequence[str]) -> list[Manifest]:
    from sources.manifest import named

    return [named(s3, get_settings().s3.raw_bucket, key) for key in keys]
