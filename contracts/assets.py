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

MAINTENANCE_DAG: Final = "maintain_tables"
"""A DAG outside of the pipeline, which does not process windows."""

DAGS: Final = (*DAG_OF_STAGE.values(), MAINTENANCE_DAG)

RAW: Final = "raw_transactions"
PROCESSED: Final = "processed_transactions"
SANDBOX: Final = "sandbox_features"
STAGING: Final = "staging_transactions"
PRODUCTION: Final = "production_marts"
CHAMPION: Final = "fraud_model_champion"
SCORES: Final = "production_scores"

ASSETS: Final = (RAW, PROCESSED, SANDBOX, STAGING, PRODUCTION, CHAMPION, SCORES)
