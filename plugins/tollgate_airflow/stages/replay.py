"""The replay of decisions: a sample of a day → STAGING and PRODUCTION, and the certificate."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowFailException

from contracts.serving_columns import ReplayOutcome
from contracts.settings import get_settings
from tollgate_airflow import connections
from tollgate_airflow.failures import guarded
from tollgate_airflow.stages.decisions import run_id_of, window_of

if TYPE_CHECKING:
    from ml.champion import Champion

_log = logging.getLogger(__name__)
_NAMED: Final = 3
"""Mismatches that the failure names."""


@guarded
def replay(context: Any) -> list[str]:
    """Compute a sample of decisions again and record the outcomes; return the mismatches."""
    from lake.catalog import open_catalog
    from ml import tracking
    from serving.landing import landed_rows
    from serving.replay import replay, sample
    from sources.manifest import find_latest
    from warehouse.decisions import record_replays

    settings, window, s3 = get_settings(), window_of(context), connections.s3("lander")
    dsn, bucket = connections.warehouse("loader"), settings.s3.raw_bucket
    manifest = find_latest(s3, bucket, window)
    if manifest is None:
        raise LookupError(f"{window.key} has not landed: run record_decisions for it first.")
    tracking.connect(settings, reads_only=True)
    rows = sample(landed_rows(s3, bucket, manifest), context["params"]["size"])
    found = replay(dsn, open_catalog(settings, "reader"), _load, rows)
    counts = Counter((one.decided_date, one.source, one.outcome) for one in found)
    about = {"replayed_at": datetime.now(UTC), "run_id": run_id_of(window, context)}
    names = ("decided_date", "source_system", "replay_outcome")
    record_replays(
        dsn,
        window,
        [
            dict(zip(names, key, strict=True)) | {"decision_count": count} | about
            for key, count in counts.items()
        ],
    )
    for (day, source, outcome), count in sorted(counts.items()):
        _log.info("%s, %s: %d decisions %s", day, source, count, outcome)
    return [one.difference for one in found if one.outcome is ReplayOutcome.MISMATCHED]


@guarded
def publish(context: Any) -> None:
    """Build the marts of decisions."""
    from warehouse.transform import publish_recent

    publish_recent(get_settings(), run_id_of(window_of(context), context), "decisions")


@guarded
def certify(mismatches: list[str]) -> None:
    """Fail when a decision that is comparable does not match."""
    if mismatches:
        more = len(mismatches) - _NAMED
        raise AirflowFailException(
            f"Decisions that differ from what the lake gives ({len(mismatches):,}): "
            f"{'; '.join(mismatches[:_NAMED])}{f'; and {more} more' if more > 0 else ''}."
            " `rpt_decision_replay` has the counts."
        )


def _load(name: str, version: int) -> Champion:
    from mlflow.exceptions import MlflowException

    from ml.champion import load_version
    from ml.errors import NoChampion, UnreadableModel

    try:
        return load_version(name, version)
    except UnreadableModel as error:
        raise NoChampion(str(error)) from error
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise NoChampion(f"{name} has no version {version} any more") from error
