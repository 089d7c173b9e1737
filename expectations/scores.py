"""Gate scores: a batch of scores before it is added to STAGING."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.render import to_arrow
from contracts.results import GateResult
from contracts.stage_results import ScoreResult
from contracts.stages import Gate
from contracts.tables import TABLES
from expectations.checkpoint import Batch
from expectations.comparison import quotable_key, schema_batch
from expectations.run import evaluate
from expectations.suites import scores as suite
from expectations.suites.tables import SUITES
from lake.dates import rows_on
from lake.read import of_source
from sources.registry import source as declared_source

if TYPE_CHECKING:
    import pyarrow as pa

_FEATURES: Final = "sandbox.features"
_ALERTS: Final = ("review", "decline")
_KEY: Final = ["source_system", "event_id"]


def gate_scores(
    catalog: Any,
    scored: ScoreResult,
    scores: "pa.Table",
    state_dir: Path,
    drift: "pa.Table | None" = None,
) -> GateResult:
    """Check scores against the features of the same dates at the recorded snapshot."""
    source = scored.window.source
    scan = catalog.load_table(_FEATURES).scan(
        row_filter=f"{of_source(source)} and ({rows_on(TABLES[_FEATURES], scored.dates)})",
        selected_fields=tuple(_KEY),
        snapshot_id=scored.snapshots[_FEATURES],
    )
    return evaluate_scores(scored, scores, scan.to_arrow(), state_dir, drift)


def evaluate_scores(
    scored: ScoreResult,
    scores: "pa.Table",
    featured: "pa.Table",
    state_dir: Path,
    drift: "pa.Table | None" = None,
) -> GateResult:
    """Check scores against `featured`, the keys of the payments with features.

    `drift` is checked as a table; the drift of a feature never closes the gate.
    """
    table = TABLES["staging.scores"]
    stored = [(field.name, _plain(field.type)) for field in scores.schema]
    declared = [(field.name, _plain(field.type)) for field in to_arrow.schema(table)]
    frame = scores.to_pandas()
    batches = [
        schema_batch(table.name, declared, stored),
        Batch(table.name, frame, suite.rules(table), quotable_key(table)),
    ]
    if set(table.column_names) <= set(frame.columns):
        summary = _summary(scored, frame, featured.to_pandas())
        ranges = declared_source(scored.window.source).ranges
        rules = suite.batch_rules(ranges, is_varied=featured.num_rows >= suite.VARIED_ROWS)
        batches.append(Batch(table.name, summary, rules, part="batch"))
    batches.append(_lost_inputs(scored))
    if drift is not None:
        table = TABLES["staging.feature_drift"]
        rules = SUITES[table.short_name](table)
        batches.append(Batch(table.name, drift.to_pandas(), rules, quotable_key(table)))
    return evaluate(Gate.SCORES, scored.window, scored.run_id, batches, state_dir)


def read_shadow(dsn: str, staged: ScoreResult, name: str = "staging.scores") -> "pa.Table":
    """Read the shadow table of a STAGING table, for a gate that runs in another task."""
    import adbc_driver_postgresql.dbapi as adbc

    columns = ", ".join(TABLES[name].column_names)
    beside = staged.beside[name]
    with adbc.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(f"select {columns} from {beside}")  # noqa: S608 - our own table's name
        return cursor.fetch_arrow_table()


def _plain(kind: Any) -> str:
    """Return an Arrow type as text, where the two widths of text and the name of items are one."""
    return str(kind).replace("large_", "").replace("item: ", "").replace("element: ", "")


def _lost_inputs(scored: ScoreResult) -> Batch:
    """Return the inputs that had values in training and have none in the batch."""
    import pandas as pd

    frame = pd.DataFrame(
        list(scored.lost_inputs.items()), columns=["feature", "rows_without"], dtype=object
    )
    return Batch("sandbox.features", frame, suite.input_rules(), ("feature",), part="inputs")


def _summary(scored: ScoreResult, scores: Any, featured: Any) -> Any:
    """Return one row that compares a batch of scores with the payments and the model."""
    import pandas as pd

    keys = scores[_KEY].drop_duplicates()
    matched = keys.merge(featured[_KEY], "inner", _KEY)
    is_model = (scores["model_name"] == scored.model_name) & (
        scores["model_version"] == scored.model_version
    )
    is_snapshot = scores["feature_snapshot_id"] == scored.snapshots[_FEATURES]
    rows = len(scores)
    return pd.DataFrame(
        {
            "rows_featured": [len(featured)],
            "rows_scored": [len(matched)],
            "rows_not_featured": [len(keys) - len(matched)],
            "rows_of_other_model": [int((~is_model).sum())],
            "rows_of_other_snapshot": [int((~is_snapshot).sum())],
            "distinct_scores": [scores["score"].nunique()],
            "alert_share": [float(scores["decision"].isin(_ALERTS).mean()) if rows else 0.0],
        }
    )
