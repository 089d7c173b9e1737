"""### Quarantine → Processed, once a mapping or a rule is mended

Takes quarantined rows of a window again from Raw, through the same reading, rules and
deduplication as `process_transactions`, by the declaration of today. What passes leaves the
quarantine for the tables; what fails again stays, with its history and one try more.

| | |
| --- | --- |
| **When** | by hand, after a mapping or a rule of a source was mended |
| **In** | `lake.processed.quarantine`, and the Raw objects of the window's last processing |
| **Out** | `lake.processed.*`, on an audit branch until the gate has judged it |
| **Then** | `prepare_sandbox` runs for the window: the payments come to PRODUCTION |

`rehearse` only says what would happen: per reason, how many rows and how much money would pass,
be dropped as repeats, or fail again, and why. With `dry_run`, which is the default, the run ends
there and nothing was written. Without it the ledger moves the rows from quarantined to out or
duplicate, under this run and in the total of the window; nothing counts twice.

**Run it again**: safe; rows that passed are gone from quarantine, so nothing moves a second time.
Clear a run that was published and it is skipped.

**When it fails**
- `rehearse`, `redrive`: Spark or a store was away (tried again by itself); or the quarantine is not
  what the ledger says, since another window has handled the same objects: process the window first.
- `gate_processed`: what was written broke a rule; the audit branch was dropped, readers still see
  the tables as they were. Read the report, mend, then *Clear* the run from `redrive`.
- `publish` with *main moved*: somebody else published in between; *Clear* the run from `redrive`.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, PROCESSED
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, redrive_params, tags

with DAG(
    DAG_OF_STAGE[Stage.REDRIVE],
    description="Quarantined rows tried again by the rules of today",
    doc_md=__doc__,
    schedule=None,
    params=redrive_params(),
    tags=tags(Stage.REDRIVE, "raw", "processed"),
    **DAG_OPTIONS,
):

    @task
    def rehearse(**context: Any) -> list[str]:
        """Say what would become of the rows; write nothing."""
        from tollgate_airflow.stages import redrive as stage

        return stage.rehearse(context)

    @task
    def redrive(**context: Any) -> dict[str, Any]:
        """Write what passes now to the audit branch; end here when it is a dry run."""
        from tollgate_airflow.stages import redrive as stage

        return stage.write(context)

    @task
    def gate_processed(written: dict[str, Any], **context: Any) -> str:
        """Judge the audit branch; a refused one never reaches a reader."""
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
