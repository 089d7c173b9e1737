"""The results of the demo, from PRODUCTION, the model registry and the supervisor."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import httpx
import psycopg
from psycopg.rows import dict_row

from contracts.settings import Settings
from embedded.console import service_rows
from ml.tracking import model_name

# The newest run of each stage and window since the demo began, in the order they ran.
_STAGES: Final = """
with runs as (
    select *, rank() over (partition by stage, window_key order by finished_at desc) as age
    from production.fct_runs
    where started_at >= %(since)s
)

select
    stage,
    window_key as "window",
    currency,
    sum(rows_in)::bigint as rows_in,
    sum(rows_out)::bigint as rows_out,
    sum(rows_quarantined)::bigint as rows_quarantined,
    sum(rows_duplicate)::bigint as rows_duplicate,
    sum(amount_in) as amount_in,
    sum(amount_out) as amount_out,
    max(duration_seconds) as seconds
from runs
where age = 1
group by stage, window_key, source_system, currency
order by max(finished_at)
"""
_GATES: Final = """
with checks as (
    select *, rank() over (partition by gate, window_key order by checked_at desc) as age
    from production.fct_gate_results
    where checked_at >= %(since)s
)

select
    gate,
    window_key as "window",
    bool_and(is_passed or severity <> 'critical') as passed,
    count(*) as checks
from checks
where age = 1
group by gate, window_key
order by max(checked_at)
"""
_RISKIEST: Final = """
select
    scores.event_id,
    payments.event_at,
    payments.amount,
    payments.currency,
    payments.merchant_category,
    scores.score,
    scores.risk_level,
    scores.decision,
    scores.reason_sentences as reasons
from production.fct_transaction_scores as scores
inner join production.fct_transactions as payments using (source_system, event_id)
where scores.model_name = %(name)s and scores.model_version = %(version)s
order by scores.score desc, payments.amount desc, scores.event_id
limit 10
"""


class NoChampionError(RuntimeError):
    """Raised when the registry has no champion after training."""


def champion(settings: Settings, source: str) -> dict[str, Any]:
    """Return name, version and test metrics of the champion of a source, as the reader role.

    Raises:
        NoChampionError: when no version has the alias.
    """
    mlflow = settings.mlflow
    login = (mlflow.reader_username, mlflow.reader_password.get_secret_value())
    with httpx.Client(
        base_url=mlflow.tracking_uri, auth=login, timeout=20, trust_env=False
    ) as client:
        name = model_name(source)
        alias = {"name": name, "alias": "champion"}
        answer = client.get("/api/2.0/mlflow/registered-models/alias", params=alias)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NoChampionError(
                f"{name} has no champion: the model gate is closed. Its checks are in"
                " production.fct_gate_results, the metrics in MLflow."
            )
        version = answer.raise_for_status().json()["model_version"]
        run = client.get("/api/2.0/mlflow/runs/get", params={"run_id": version["run_id"]})
        metrics = run.raise_for_status().json()["run"]["data"]["metrics"]
    return {
        "name": version["name"],
        "version": int(version["version"]),
        "metrics": {metric["key"]: metric["value"] for metric in metrics},
    }


def services(settings: Settings) -> list[dict[str, Any]]:
    """Return name, address and memory of each service of the platform."""
    return [
        {"name": row["name"], "url": row["url"], "resident_mib": row["resident_mib"]}
        for row in service_rows(settings)
    ]


def collect(settings: Settings, since: datetime, source: str) -> dict[str, Any]:
    """Return the results of the demo of a source since `since`, with values from the stores."""
    model = champion(settings, source)
    with psycopg.connect(settings.warehouse.dsn("reader"), row_factory=dict_row) as connection:
        stages = connection.execute(_STAGES, {"since": since}).fetchall()
        gates = connection.execute(_GATES, {"since": since}).fetchall()
        riskiest = connection.execute(
            _RISKIEST, {"name": model["name"], "version": model["version"]}
        ).fetchall()
    return {
        "stages": stages,
        "gates": gates,
        "model": model,
        "riskiest": riskiest,
        "services": services(settings),
    }


def plain(value: Any) -> Any:
    """Return a value for JSON: money as a number with two decimals, times as text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
