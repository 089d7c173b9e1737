"""### Record and publish the alerts of the stream

Reads the alerts that have arrived in Kafka since the last run into STAGING. An alert is published
in `fct_fraud_alerts` once its payment is in PRODUCTION: with the scores of its date, or by this DAG
if these are published already or there is no champion.

| | |
| --- | --- |
| **When** | every five minutes, once unpaused; manually at any time |
| **In** | the topic `alerts` |
| **Out** | `staging.stream_alerts`; the score marts in `production` of the dates with new alerts |

**Run it again**: safe; the first alert of a payment remains, and a repeat changes nothing.

**When it fails**
- `record`: Kafka or Postgres is unavailable. No alert is lost: the next run continues at the
  committed offsets. A message that is no alert does not fail the task; its log names the position.
- `publish`: a score mart failed its dbt tests; the message names it. It is skipped while no alert
  waits.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from contracts.assets import ALERTS_DAG
from tollgate_airflow.wiring import DAG_OPTIONS, NEXT_TIME

with DAG(
    ALERTS_DAG,
    description="Alerts of the stream into STAGING and PRODUCTION",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC", run_immediately=NEXT_TIME),
    tags=["staging", "production", "stream"],
    **DAG_OPTIONS,
):

    @task
    def record(**context: Any) -> str:
        """Record the alerts that wait in Kafka in STAGING."""
        from tollgate_airflow.stages import alerts as stage

        return stage.record(context)

    @task
    def publish(**context: Any) -> list[str]:
        """Publish the alerts whose payments are in PRODUCTION; skipped without one."""
        from tollgate_airflow.stages import alerts as stage

        return stage.publish(context)

    record() >> publish()
