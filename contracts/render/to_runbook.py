"""The runbook: what to do for the platform as a whole, and the manual of each DAG.

The manual is the DAG file's own docstring, the same that Airflow shows, read without running it.
"""

import ast
from pathlib import Path
from typing import Final

from contracts.assets import DAGS

_RUNBOOK: Final = Path("docs/runbook.md")
_HEAD: Final = """\
<!-- Generated from the docstrings in dags/ by `make contracts`: change them there. -->
# Runbook

Start with `make status`: it shows each service, its state and its address. `make logs` shows the
ends of all logs, `make logs SERVICE=spark` one of them.

| what happened | what to do |
|---|---|
| a service is `restarting` | wait: the supervisor restarts it with growing pauses |
| a service is `failed` | read its log, mend the cause, then `make up` tries it again |
| the machine was switched off, or the supervisor killed | `make up`: nothing is lost |
| the disk is full | free some, then `make up`; the lake and the warehouse commit whole or not at all |
| a task failed on a connection | it is tried again by itself; after that, *Clear* it once the other side is back |
| a gate closed | nothing downstream changed; read its report in *Data docs*, mend, *Clear* the run from its first task |
| a window must be done again | trigger `land_transactions` with it: every stage may run twice |
| the dashboards are away | `make bi` starts Superset again and puts every chart back as declared; `make logs SERVICE=superset` says why it went. |
| a chart says that a column or table is missing | PRODUCTION is older than the dashboards: `python -m expectations.full_refresh`, then reload |
| marts have other columns than declared, after an update | let the line come to rest, then `python -m expectations.full_refresh` (`--dry-run` says what it would do) |
| everything must go | `make down && make clean` |

The failure message of a task is one sentence: what failed, on which window, and where its report or
log is. It is the last line of the task's log, and goes to Slack when `TOLLGATE_SLACK_WEBHOOK_URL`
is set.
"""  # noqa: E501 - a table row is one line


def runbook(repo: Path) -> dict[Path, str]:
    """Return the runbook, by its path relative to the repository."""
    sections = [_HEAD]
    for dag_id in DAGS:
        manual = ast.get_docstring(ast.parse((repo / "dags" / f"{dag_id}.py").read_text()))
        title, _, text = (manual or "").partition("\n")
        sections.append(f"## {dag_id}: {title.lstrip('# ')}\n{text}\n")
    return {_RUNBOOK: "\n".join(sections)}
