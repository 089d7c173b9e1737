"""Names of the DAGs and of the partitioned assets that connect them."""

from typing import Final

from contracts.stages import Stage

DAG_OF_STAGE: Final[dict[Stage, str]] = {
    Stage.LAND: "land_transactions",
    Stage.PROCESS: "process_transactions",
    Stage.PREPARE: "prepare_sandbox",
    Stage.LOAD: "load_staging",
    Stage.BUILD: "build_production",
    Stage.TRAIN: "train_fraud_model",
    Stage.SCORE: "score_transactions",
    Stage.REDRIVE: "redrive_quarantine",
}
"""The DAG of each stage, in flow order."""


def landing_dag(source: str, default: str) -> str:
    """Return the DAG that lands a source by schedule or backfill; one for each source.

    Airflow backfills a date of a DAG once, so two sources of a date need two DAGs. The DAG of the
    default source lands windows of any source when it is triggered manually.
    """
    main = DAG_OF_STAGE[Stage.LAND]
    return main if source == default else f"{main}_{source}"


def stage_of(dag_id: str) -> Stage | None:
    """Return the stage that a DAG runs, None for a DAG outside of the pipeline."""
    stages = {name: stage for stage, name in DAG_OF_STAGE.items()}
    main = DAG_OF_STAGE[Stage.LAND]
    lands = dag_id in (STREAM_DAG, FEEDBACK_DAG) or dag_id.startswith(f"{main}_")
    return Stage.LAND if lands else stages.get(dag_id)


STREAM_DAG: Final = "land_stream"
"""Lands the messages of a stream, and each day of it once it is complete."""
FEEDBACK_DAG: Final = "land_feedback"
"""Lands the feedback of analysts as labels, in the windows of their payments."""
ALERTS_DAG: Final = "record_alerts"
"""Records the alerts of the stream in STAGING, and publishes them."""
ONLINE_STORE_DAG: Final = "fill_online_store"
"""Fills the online store of the decision API from Processed."""
DECISION_LOG: Final = "decision_log"
"""The decision log as the source of a window, and in keys of Raw; its dates are of decisions."""
DECISIONS_DAG: Final = "record_decisions"
"""Records the decisions of the API in Raw and STAGING, and publishes them."""
REPLAY_DAG: Final = "replay_decisions"
"""Computes a sample of the decisions of a day again, and publishes how many match."""

MAINTENANCE_DAG: Final = "maintain_tables"
WATCH_DAG: Final = "watch_windows"
OPERATIONS_DAGS: Final = (MAINTENANCE_DAG, WATCH_DAG)
"""DAGs outside of the pipeline, which do not process windows."""

DAGS: Final = (
    *DAG_OF_STAGE.values(),
    *(STREAM_DAG, FEEDBACK_DAG, ALERTS_DAG, ONLINE_STORE_DAG, DECISIONS_DAG, REPLAY_DAG),
    *OPERATIONS_DAGS,
)

RAW: Final = "raw_transactions"
PROCESSED: Final = "processed_transactions"
SANDBOX: Final = "sandbox_features"
STAGING: Final = "staging_transactions"
PRODUCTION: Final = "production_marts"
CHAMPION: Final = "fraud_model_champion"
SCORES: Final = "production_scores"
DECISIONS: Final = "production_decisions"

ASSETS: Final = (RAW, PROCESSED, SANDBOX, STAGING, PRODUCTION, CHAMPION, SCORES, DECISIONS)
