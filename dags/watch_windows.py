"""### Watch for windows that wait between DAGs

Compares the stages that each window has passed, by the run ledger. A window waits when a DAG was
paused, or its run failed, after the stage before had finished: no later run of another window picks
it up.

| | |
| --- | --- |
| **When** | every half hour, once unpaused; manually at any time |
| **In** | the run ledger |
| **Out** | a failed task, with its message, when a window has waited for more than an hour |
| **Not late** | windows of a DAG with an active run, abandoned windows; scores without a champion |

`make catch-up DRY=1` lists the windows that wait, `production.rpt_window_stages` the
stages of all windows.

**Run it again**: safe; it changes nothing.

**When it fails**
- `find_waiting` names the windows and the DAG that each waits for. Check why the DAG did not take
  them: paused, or a failed run, whose message has the cause. Then run `make catch-up`, which
  triggers the DAG for each of them, or trigger it manually with source and window. Abandon a
  window that is not to be processed further.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from contracts.assets import WATCH_DAG
from tollgate_airflow.wiring import DAG_OPTIONS, NEXT_TIME

with DAG(
    WATCH_DAG,
    description="An alert when a window waits between two DAGs for more than an hour",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/30 * * * *", timezone="UTC", run_immediately=NEXT_TIME),
    tags=["maintenance"],
    **DAG_OPTIONS,
):

    @task
    def find_waiting(**context: Any) -> list[str]:
        """List the windows that wait; fail when one has waited for more than an hour."""
        from tollgate_airflow.stages import watch as stage

        return stage.find(context)

    find_waiting()
