"""Training results → STAGING: one row for each model version, and its feature importances."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from contracts.stage_results import TrainResult
from contracts.tables import TABLES, Table
from warehouse.errors import says_what_is_away

_VERSIONS: Final = TABLES["staging.model_versions"]
_IMPORTANCES: Final = TABLES["staging.feature_importances"]
_FIGURES: Final = {
    "test_average_precision": "average_precision",
    "test_auc": "auc",
    "test_card_precision_100": "card_precision_100",
    "test_recall_at_budget": "recall_at_budget",
    "test_precision": "precision",
    "test_recall": "recall",
    "test_brier_score": "brier",
    "test_brier_skill": "brier_skill",
    "alert_threshold": "threshold",
}
"""Columns, and the names of these metrics in training results, which omit undefined ones."""


@says_what_is_away
def record_model(dsn: str, trained: TrainResult) -> None:
    """Write the model version of a training run, replacing an earlier record of this version."""
    version = {"model_name": trained.model_name, "model_version": trained.model_version}
    source = trained.window.source
    rows = [
        {**version, "source_system": source, "feature_name": name, "importance": value}
        for name, value in trained.importances.items()
    ]
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        for table in (_VERSIONS, _IMPORTANCES):
            delete = "delete from {} where model_name = %(model_name)s"
            cursor.execute(
                sql.SQL(delete + " and model_version = %(model_version)s").format(_name(table)),
                version,
            )
        cursor.execute(_insert(_VERSIONS), {**version, **_evidence(trained)})
        cursor.executemany(_insert(_IMPORTANCES), rows)


def _evidence(trained: TrainResult) -> dict[str, Any]:
    metrics = trained.metrics
    # Training uses data that was known before this instant.
    as_of = trained.as_of - timedelta(microseconds=1)
    return {
        "source_system": trained.window.source,
        "candidate": trained.candidate,
        "feature_list_version": trained.feature_list_version,
        "code_version": trained.code_version,
        "trained_at": trained.trained_at,
        "trained_as_of_date": as_of.date(),
        "training_snapshots": ", ".join(
            f"{table} {snapshot}" for table, snapshot in sorted(trained.snapshots.items())
        ),
        "training_count": int(metrics["rows_train"]),
        "training_fraud_count": int(metrics["frauds_train"]),
        **{column: metrics.get(name) for column, name in _FIGURES.items()},
        "verdict": "promoted" if trained.promoted else "refused",
        "verdict_reason": trained.verdict_reason,
        "promoted_at": trained.promoted_at,
        "run_id": trained.run_id,
    }


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(table.zone, table.short_name)


def _insert(table: Table) -> sql.Composed:
    return sql.SQL("insert into {} ({}) values ({})").format(
        _name(table),
        sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
        sql.SQL(", ").join(map(sql.Placeholder, table.column_names)),
    )
