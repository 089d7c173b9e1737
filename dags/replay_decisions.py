"""### Replay decisions of the API

Computes a sample of the decisions of a day again, from Raw, the lake at the snapshots that the
online store had, and the decision log, with the recorded model, rules and feature list. It
publishes how many match, and how many are not comparable and why.

| | |
| --- | --- |
| **When** | each time `record_decisions` publishes a day, once unpaused; manually with dates |
| **In** | the decisions in Raw, `lake.processed.transactions`, `lake.processed.labels`, MLflow |
| **Out** | `staging.decision_replays`, `rpt_decision_replay` |

**Run it again**: safe; the sample of a day is the same, and its outcomes are replaced.

**When it fails** (tasks are retried automatically while a service is unavailable)
- `replay`: the decisions of the dates have not landed: run `record_decisions` first.
- `publish`: a mart failed its dbt tests; the message names it.
- `certify`: a decision does not match; the message names the first with the value that differs.
  Features, score, level and reasons are compared. `make audit` says whether the log was changed.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DECISION_LOG, DECISIONS, REPLAY_DAG
from tollgate_airflow.wiring import DAG_OPTIONS, after, count_param, window_params

with DAG(
    REPLAY_DAG,
    description="The share of decisions that the lake confirms",
    doc_md=__doc__,
    schedule=after(DECISIONS),
    params={
        **window_params("UTC dates of the decisions", DECISION_LOG),
        "size": count_param(500, "Sample", "Decisions to compute again."),
    },
    tags=["serving", "staging", "production"],
    **DAG_OPTIONS,
):

    @task
    def replay(**context: Any) -> list[str]:
        """Compute the sample again and record the outcomes; return the mismatches."""
        from tollgate_airflow.stages import replay as stage

        return stage.replay(context)

    @task
    def publish(**context: Any) -> None:
        """Build the mart of the outcomes."""
        from tollgate_airflow.stages import replay as stage

        stage.publish(context)

    @task
    def certify(mismatches: list[str]) -> None:
        """Fail when a decision does not match."""
        from tollgate_airflow.stages import replay as stage

        stage.certify(mismatches)

    mismatches = replay()
    mismatches >> publish() >> certify(mismatches)
