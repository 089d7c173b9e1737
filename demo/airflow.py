"""A small client of Airflow's REST API for the demo."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx

from contracts.settings import Settings
from contracts.windows import Window

_PATIENCE_SECONDS: Final = 60.0


class AirflowAwayError(RuntimeError):
    """Raised when Airflow does not respond for some time."""


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG, as Airflow reports it."""

    dag_id: str
    run_id: str
    state: str
    partition_key: str | None
    queued_at: datetime | None

    @property
    def finished(self) -> bool:
        """Return whether the run has ended."""
        return self.state in {"success", "failed"}


class AirflowClient:
    """Client of Airflow's API, logged in as its user; it waits for a restarting server."""

    def __init__(self, settings: Settings) -> None:
        """Create a client for the Airflow of `settings`."""
        self._airflow = settings.airflow
        self._http = httpx.Client(base_url=settings.airflow.url, timeout=20, trust_env=False)

    def __enter__(self) -> Self:
        """Log in."""
        self._log_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._http.close()

    def _log_in(self) -> None:
        login = {
            "username": self._airflow.username,
            "password": self._airflow.password.get_secret_value(),
        }
        answer = self._send("POST", "/auth/token", json=login)
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = self._http.request(method, path, **options)
                if answer.status_code < 500:
                    return answer.raise_for_status()
                problem = f"it answers {answer.status_code}"
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}"
            if time.monotonic() > deadline:
                raise AirflowAwayError(
                    f"Airflow at {self._airflow.url} has not answered for"
                    f" {_PATIENCE_SECONDS:.0f} s ({problem}): look at it with `make status`."
                )
            time.sleep(1)

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": paused})

    def is_paused(self, dag_id: str) -> bool:
        """Return whether a DAG is paused."""
        return bool(self._send("GET", f"/api/v2/dags/{dag_id}").json()["is_paused"])

    def active_windows(self, dag_id: str) -> set[str]:
        """Return the keys of the windows for which a DAG has a queued or running run."""
        options = {"state": ["queued", "running"]}
        answer = self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=options)
        keys = set()
        for plain in answer.json()["dag_runs"]:
            conf = plain["conf"] or {}
            keys.add(plain["partition_key"] or f"{conf.get('source')}@{conf.get('window')}")
        return keys

    def known_dags(self) -> set[str]:
        """Return the DAGs that Airflow has parsed."""
        return {dag["dag_id"] for dag in self._send("GET", "/api/v2/dags").json()["dags"]}

    def trigger(self, dag_id: str, window: Window) -> DagRun:
        """Trigger a DAG for a window."""
        return self.start(dag_id, {"source": window.source, "window": window.span})

    def start(self, dag_id: str, conf: dict[str, Any]) -> DagRun:
        """Trigger a DAG with these parameters."""
        body = {"logical_date": None, "conf": conf}
        answer = self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return _dag_run(answer.json())

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """Return the current state of a run."""
        return _dag_run(self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").json())

    def run_of_window(self, dag_id: str, window: Window, since: datetime) -> DagRun | None:
        """Return the first run that an asset started for `window` after `since`."""
        options = {"order_by": "-run_after", "limit": 20, "run_after_gte": since.isoformat()}
        answer = self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=options)
        runs = [_dag_run(plain) for plain in answer.json()["dag_runs"]]
        matching = [run for run in runs if run.partition_key == window.key]
        return matching[-1] if matching else None

    def tasks(self, run: DagRun) -> dict[str, str]:
        """Return the state of each task of a run."""
        return {task["task_id"]: task["state"] or "waiting" for task in self.task_instances(run)}

    def task_instances(self, run: DagRun) -> list[dict[str, Any]]:
        """Return the task instances of a run as Airflow reports them, with start and end."""
        answer = self._send("GET", f"{_path(run)}/taskInstances").json()
        instances: list[dict[str, Any]] = answer["task_instances"]
        return instances

    def result(self, run: DagRun, task: str) -> Any:
        """Return the result of a task of a run."""
        path = f"{_path(run)}/taskInstances/{task}/xcomEntries/return_value"
        return self._send("GET", path).json()["value"]

    def what_failed(self, run: DagRun) -> str:
        """Return the failure message of the failed task, with the address of its log."""
        for task, state in self.tasks(run).items():
            if state == "failed":
                answer = self._send("GET", f"{_path(run)}/taskInstances/{task}").json()
                number = answer["try_number"]
                log = f"{self._airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task}"
                return f"{self._failure_message(run, task, number)} Log: {log}"
        return f"{run.dag_id} failed before a task ran. Log: {self._airflow.url}/dags/{run.dag_id}"

    def _failure_message(self, run: DagRun, task: str, number: int) -> str:
        """Return the message that the failure callback wrote into the task's log."""
        path = f"{_path(run)}/taskInstances/{task}/logs/{number}"
        content = self._send("GET", path).json()["content"]
        lines = [str(line.get("event", "")) if isinstance(line, dict) else "" for line in content]
        for line in reversed(lines):
            if f"{run.dag_id}.{task} failed" in line:
                return line.partition(" Log: ")[0]
        return f"{run.dag_id}.{task} failed."


def _path(run: DagRun) -> str:
    return f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}"


def _dag_run(plain: dict[str, Any]) -> DagRun:
    queued = plain["queued_at"]
    return DagRun(
        dag_id=plain["dag_id"],
        run_id=plain["dag_run_id"],
        state=plain["state"],
        partition_key=plain["partition_key"],
        queued_at=datetime.fromisoformat(queued) if queued else None,
    )
