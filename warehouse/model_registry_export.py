"""Training results → STAGING: one row for each model version, and its feature importances."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from contracts.results import StageResult
from contracts.tables import TABLES, Table
from contracts.windows import Window
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
def record_model(dsn: str, trained: StageResult) -> None:
    """Write the model version of a training run, replacing an earlier record of this version."""
    details = trained.details
    version = {"model_name": details["model_name"], "model_version": details["model_version"]}
    source = Window.parse(trained.window).source
    rows = [
        {**version, "source_system": source, "feature_name": name, "importance": value}
        for name, value in details["importances"].items()
    ]
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        for table in (_VERSIONS, _IMPORTANCES):
            delete = "delete from {} where model_name = %(model_name)s"
            cursor.execute(
                sql.SQL(delete + " and model_version = %(model_version)s").format(_name(table)),
                version,
            )
        cursor.execute(_insert(_VERSIONS), {**version, **_evidence(trained, source)})
        cursor.executemany(_insert(_IMPORTANCES), rows)


def _evidence(trained: StageResult, source: str) -> dict[str, Any]:
    details, metrics = trained.details, trained.details["metrics"]
    # Training uses data that was known before this instant.
    as_of = datetime.fromisoformat(details["as_of"]) - timedelta(microseconds=1)
    return {
        "source_system": source,
        "candidate": details["candidate"],
        "feature_list_version": details["feature_list_version"],
        "code_version": details["code_version"],
        "trained_at": datetime.fromisoformat(details["trained_at"]),
        "trained_as_of_date": as_of.date(),
        "training_snapshots": ", ".join(
            f"{table} {snapshot}" for table, snapshot in sorted(trained.snapshots.items())
        ),
        "training_count": int(metrics["rows_train"]),
        "training_fraud_count": int(metrics["frauds_train"]),
        **{column: metrics.get(name) for column, name in _FIGURES.items()},
        "verdict": "promoted" if details["promoted"] else "refused",
        "verdict_reason": details["verdict_reason"],
        "promoted_at": datetime.fromisoformat(details["promoted_at"])
        if details["promoted"]
        else None,
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
