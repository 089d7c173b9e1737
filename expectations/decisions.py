"""Gates of the decision log: Raw against the log, and STAGING against Raw."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.results import GateResult
from contracts.stages import Gate
from contracts.tables import TABLES
from contracts.windows import Window
from expectations.checkpoint import Batch
from expectations.comparison import side_by_side
from expectations.raw import stored_object
from expectations.run import evaluate
from expectations.suites import comparisons, decisions
from expectations.warehouse import query_frame, stored_table
from sources.store import explained

if TYPE_CHECKING:
    from sources.manifest import Manifest

_RAW: Final = "raw.decisions"
_STAGING: Final = TABLES["staging.decisions"]
_MEASURES: Final = ("rows", "amount")


def gate_landed_decisions(
    manifest: "Manifest",
    logged: int,
    changed: int,
    run_id: str,
    s3: Any,
    bucket: str,
    state_dir: Path,
) -> GateResult:
    """Check that Raw has the decisions of a day as the log has them, once and unchanged.

    `logged` is the number of decisions of the day in the log, and `changed` that of the landed ones
    without the hash of their content.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    import pandas as pd

    with explained(bucket):
        stored = [stored_object(s3, bucket, item.key) for item in manifest.objects]
    objects = [
        {
            **{"name": item.name, "key": item.key, "bytes": item.bytes, "sha256": item.sha256},
            **{"bytes_stored": size, "sha256_stored": sha256},
        }
        for item, (size, sha256) in zip(manifest.objects, stored, strict=True)
    ]
    day = {
        "objects_more": max(len(objects) - 1, 0),
        "rows_changed": changed,
        "rows_landed": manifest.rows,
        "rows_logged": logged,
    }
    window = Window.parse(manifest.window)
    columns = ["name", "key", "bytes", "sha256", "bytes_stored", "sha256_stored"]
    frame = pd.DataFrame(objects, columns=columns, dtype=object)
    batches = [
        Batch(
            _RAW,
            pd.DataFrame([day]),
            decisions.day_rules(),
            part="day",
            sentences=decisions.SENTENCES,
        ),
        Batch(_RAW, frame, decisions.object_rules(), ("key",), part="objects"),
    ]
    return evaluate(Gate.RAW, window, run_id, batches, state_dir)


def gate_staged_decisions(
    dsn: str, name: str, manifest: "Manifest", run_id: str, state_dir: Path
) -> GateResult:
    """Check the shadow table `name` of staging.decisions: the rows and money of Raw, as declared.

    Postgres refuses a second decision on a payment when the table is filled.
    """
    import pandas as pd
    import psycopg

    landed = pd.DataFrame(
        [
            {"currency": code, "rows": rows, "amount": manifest.amounts[code]}
            for code, rows in manifest.row_counts.items()
        ],
        dtype=object,
    )
    query = f"select currency, count(*) as rows, sum(amount) as amount from {name} group by 1"  # noqa: S608
    with psycopg.connect(dsn) as connection:
        staged = query_frame(connection, query, {})
        compared = side_by_side(landed, staged, ("currency",), _MEASURES)
        rules = comparisons.agreement_rules(_MEASURES, is_expected=True)
        batches = [
            Batch(_STAGING.name, compared, rules, ("currency",), part="raw"),
            *stored_table(dsn, connection, _STAGING, name, "true"),
        ]
    return evaluate(Gate.STAGING, Window.parse(manifest.window), run_id, batches, state_dir)
