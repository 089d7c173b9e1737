"""The runbook: a section for the platform, and the documentation of each DAG.

The documentation of a DAG is the docstring of its file, which Airflow shows too. The file is
parsed, not imported.
"""

import ast
from pathlib import Path
from typing import Final

from contracts.assets import DAGS

_RUNBOOK: Final = Path("docs/runbook.md")
_HEAD: Final = """\
<!-- Generated from the docstrings in dags/ by `make contracts`: change them there. -->
# Runbook

Start with `make status`: it shows the state and the address of each service. `make logs` shows the
last lines of all logs, `make logs SERVICE=spark` those of one service.

| problem | solution |
|---|---|
| a service is `restarting` | wait: the supervisor restarts it with growing pauses |
| a service is `failed` | read its log, fix the cause, then run `make up` to start it again |
| the machine was switched off, or the supervisor was killed | `make up`; no data is lost |
| the disk is full | free space, then `make up`; commits to the lake and the warehouse are atomic |
| a task failed with a connection error | Airflow retries it; if all retries fail, *Clear* the task when the service is available |
| a gate closed | downstream stores are unchanged; read its report in *Data docs*, fix the cause, *Clear* the run from its first task |
| a window must be processed again | trigger `land_transactions` with it; every stage may run twice |
| a payment, a customer, a merchant or a delivery should not be there | withdraw it: see below |
| a window was landed and is not in PRODUCTION | `make catch-up DRY=1` lists the windows that wait between two DAGs, `make catch-up` triggers the next DAG of each |
| a window that waits is not to be processed further | abandon it: see below |
| dates of a source must be backfilled | `airflow backfill create --dag-id land_transactions_<source>` (`land_transactions` for the default source); dates that ran before need `--reprocess-behavior completed` |
| the dashboards are unavailable | `make bi` starts Superset and restores every chart as declared; `make logs SERVICE=superset` shows the cause |
| the Kafka broker is unavailable | `make stream` starts it and restores users, grants and topics as declared; `make logs SERVICE=kafka` shows the cause |
| messages wait in `transactions` | `make status` shows the address of the metrics of the validator: `tollgate_stream_lag` is the number that waits; for more capacity, start another instance with `python -m streaming.validator --instance 2 --port PORT` |
| payments wait for their score | `tollgate_stream_lag` of the scorer is the number that waits, its address is in `make status`; the scorer shares the cores of Spark with the batch line; `make logs SERVICE=scorer` has errors |
| payments of the stream do not reach the online store | `/health` of the updater says why, its address is in `make status`; `make logs SERVICE=updater` has the messages that are no payment |
| rejects wait in `transactions.rejected` | `/health` of the indexer says why, its address is in `make status`; when OpenSearch is away, `make stream` starts it, and `make logs SERVICE=opensearch` shows the cause |
| a decision of the API does not know yesterday's payments | `fill_online_store` is paused or failed; [the decision API](serving.md#the-online-store) has the rules |
| an alert of the stream is not in PRODUCTION | its payment is not there yet, or `record_alerts` is paused or failed; [the stream](stream.md#alerts) has the rules |
| a day of a stream does not reach PRODUCTION | `land_stream` is paused, or the stream is not an hour past the end of the day; [the stream](stream.md#landing) has the rules |
| a chart reports a missing column or table | PRODUCTION is older than the dashboards: run `python -m expectations.full_refresh`, then reload |
| after an update, the columns of marts differ from their declaration | wait until no run is active, then run `python -m expectations.full_refresh` (`--dry-run` shows the changes) |
| all data must be deleted | `make down && make clean` |

The failure message of a task names the error, the window, and the report or log. It is the last line
of the task's log, and is sent to Slack when `TOLLGATE_SLACK_WEBHOOK_URL` is set.

## Abandon a window

A window waits between two DAGs until it is processed, and `watch_windows` fails meanwhile. Abandon one
that is not to go on, such as a delivery that was landed by mistake or that its source takes back:

```
make catch-up WHAT="--abandon sparkov@2024-05-01 --reason 'sent by mistake'" DRY=1
make catch-up WHAT="--abandon sparkov@2024-05-01 --reason 'sent by mistake'"
make catch-up WHAT="--abandon sparkov@2024-05-01 --undo"
```

- The command records window, reason, time and your login in `staging.abandoned_windows`, and
  `production.rpt_window_stages` shows them after the next build. With `DRY=1` it changes nothing.
- The window waits for no stage until it is landed again, another stage of it finishes, or `--undo`.
- What it has written stays: withdraw payments of it that are in STAGING.

## Withdraw a payment, a party or a delivery

```
make withdraw WHAT="--source sparkov --payment 1f76529f8574" DRY=1
make withdraw WHAT="--source sparkov --payment 1f76529f8574 --reason 'a test of the bank'"
make withdraw WHAT="--source sparkov --payment 1f76529f8574 --undo"
```

`--payment` takes an `event_id`, `--customer` the token of a payer, `--merchant` a `counterparty_id`,
`--delivery` the key of a Raw object, as in `staging.transactions`. With `DRY=1` the command shows the
payments, the money and the windows, and changes nothing. Otherwise it records the withdrawal with your
login in `staging.withdrawals` and triggers `process_transactions` for these windows.

- Raw does not change. `process_transactions` refuses withdrawn payments with the reason `withdrawn`, and
  moves those of other deliveries on the same dates to the quarantine. Each row still counts as accepted,
  refused or a repeat. The later stages remove the payments, their labels and features, and parties
  without a payment.
- Withdrawn rows do not count as refused rows of the delivery in gate processed, and differences to earlier
  days are warnings in such a run.
- A withdrawal also refuses payments that are delivered later. `--undo` ends it and processes the windows
  with withdrawn payments again. Payments of a delivery that was replaced by a later one come back when
  that delivery is landed again.
- Scores and alerts of these payments leave PRODUCTION when `score_transactions` has run for the windows,
  and come back in the same way. `staging.scores` keeps them.
- The DAGs write to Postgres. For marts on Snowflake, load these windows again afterwards:
  `python -m warehouse.snowflake`.
"""  # noqa: E501 - a table row is one line


def runbook(repo: Path) -> dict[Path, str]:
    """Return the runbook, by its path relative to the repository."""
    sections = [_HEAD]
    for dag_id in DAGS:
        manual = ast.get_docstring(ast.parse((repo / "dags" / f"{dag_id}.py").read_text()))
        title, _, text = (manual or "").partition("\n")
        sections.append(f"## {dag_id}: {title.lstrip('# ')}\n{text}\n")
    return {_RUNBOOK: "\n".join(sections)}
