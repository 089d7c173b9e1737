"""### Quarantine → Processed, after a mapping or a rule was corrected

Reads quarantined rows of a window again from Raw and applies the parser, rules and deduplication of
`process_transactions` with the current declaration of the source. Rows that pass move from
quarantine to the tables. Rows that fail again stay in quarantine with an increased redrive count.

| | |
| --- | --- |
| **When** | manually, after a mapping or a rule of a source was corrected |
| **In** | `lake.processed.quarantine`, and the Raw objects of the window's last processing |
| **Out** | `lake.processed.*`, on an audit branch until the gate passes |
| **Then** | `prepare_sandbox` runs for the window and brings the payments to PRODUCTION |

`rehearse` reports the outcome for each reason: the rows and the money that would pass, be dropped
as repeats, or fail again, and why. With `dry_run`, which is the default, the run ends after it and
writes nothing. Without `dry_run`, the ledger moves the rows from quarantined to out or duplicate,
for this run and in the totals of the window; nothing counts twice.

**Run it again**: safe; rows that passed are not in quarantine any more, so no row moves twice.
A published run that is cleared is skipped.

**When it fails**
- `rehearse`, `redrive`: Spark or a store was unavailable (retried automatically); or another
  window has processed these objects, so the quarantine differs from the ledger: process it first.
- `gate_processed`: a check failed; the audit branch was dropped, and the published tables are
  unchanged. Read the report, fix the cause, then *Clear* the run from `redrive`.
- `publish` with *main moved*: another run has published since; *Clear* the run from `redrive`.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, PROCESSED
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, redrive_params, tags

with DAG(
    DAG_OF_STAGE[Stage.REDRIVE],
    description="Process quarantined rows again with the current rules",
    doc_md=__doc__,
    schedule=None,
    params=redrive_params(),
    tags=tags(Stage.REDRIVE, "raw", "processed"),
    **DAG_OPTIONS,
):

    @task
    def rehearse(**context: Any) -> list[str]:
        """Report the outcome for each reason; write nothing."""
        from tollgate_airflow.stages import redrive as stage

        return stage.rehearse(context)

    @task
    def redrive(**context: Any) -> dict[str, Any]:
        """Write rows that pass to the audit branch; skipped in a dry run."""
        from tollgate_airflow.stages import redrive as stage

        return stage.write(context)

    @task
    def gate_processed(written: dict[str, Any], **context: Any) -> str:
        """Check the audit branch; drop it when the gate closes."""
        from tollgate_airflow.stages import redrive as stage

        return stage.gate(context, written)

    @task(outlets=[ASSET[PROCESSED]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Fast-forward `main` to the audit branch and restate the ledger."""
        from tollgate_airflow.stages import redrive as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[PROCESSED]].add_partitions(window)
        return window

    written = redrive()
    rehearse() >> written
    gate_processed(written) >> publish(written)
