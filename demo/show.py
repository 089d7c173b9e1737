"""The tables at the end of the demo."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from contracts.settings import Settings

_METRICS: Final = {
    "average_precision": "average precision",
    "auc": "AUC",
    "card_precision_100": "card precision at 100",
    "threshold": "threshold",
    "prevalence": "prevalence",
}


def _table(title: str, columns: dict[str, str]) -> Table:
    # A title never wraps at the width of a narrow table.
    table = Table(title=title, title_justify="left", min_width=len(title) + 2)
    for name, side in columns.items():
        table.add_column(
            name,
            justify="right" if side == "right" else "left",
            no_wrap=side != "wrap",
            overflow="fold",
        )
    return table


def stages(found: dict[str, Any]) -> Table:
    """Return a row for each stage, window and currency: rows and money in and out."""
    table = _table(
        "Stages",
        {
            "stage": "left",
            "window": "left",
            "currency": "left",
            "rows in": "right",
            "rows out": "right",
            "refused": "right",
            "repeats": "right",
            "money in": "right",
            "money out": "right",
            "seconds": "right",
        },
    )
    for row in found["stages"]:
        counted = row["rows_in"] or row["rows_out"]
        table.add_row(
            row["stage"],
            row["window"],
            row["currency"] if counted else "",
            *(
                f"{row[name]:,}" if counted else ""
                for name in ("rows_in", "rows_out", "rows_quarantined", "rows_duplicate")
            ),
            *(f"{row[name]:,.2f}" if counted else "" for name in ("amount_in", "amount_out")),
            f"{row['seconds']:.1f}",
        )
    return table


def gates(found: dict[str, Any]) -> Table:
    """Return a row for each gate and window."""
    table = _table(
        "Gates", {"gate": "left", "window": "left", "checks": "right", "verdict": "left"}
    )
    for row in found["gates"]:
        verdict = "[green]passed[/]" if row["passed"] else "[red]closed[/]"
        table.add_row(row["gate"], row["window"], str(row["checks"]), verdict)
    return table


def model(found: dict[str, Any]) -> Table:
    """Return the champion's metrics on the payments it was tested on."""
    champion = found["model"]
    table = _table(
        f"Champion: {champion['name']} version {champion['version']}, on its test days",
        {"metric": "left", "value": "right"},
    )
    for key, name in _METRICS.items():
        if key in champion["metrics"]:
            table.add_row(name, f"{champion['metrics'][key]:.4f}")
    return table


def riskiest(found: dict[str, Any]) -> Table:
    """Return the ten payments with the highest scores, each with its reasons."""
    table = _table(
        "The ten riskiest payments",
        {"payment": "left", "reasons": "wrap"},
    )
    table.show_lines = True
    for row in found["riskiest"]:
        about = (
            f"{row['event_at']:%Y-%m-%d %H:%M}",
            f"{row['amount']:,.2f} {row['currency']}",
            row["merchant_category"],
            f"score {row['score']:.3f}, {row['risk_level']}",
        )
        table.add_row("\n".join(about), "\n".join(row["reasons"]))
    return table


def where_to_look(settings: Settings, found: dict[str, Any]) -> str:
    """Return the addresses and the logins, without passwords."""
    airflow = settings.airflow
    together = sum(service["resident_mib"] for service in found["services"])
    lines = {
        "Airflow": airflow.url,
        "dbt docs": f"{airflow.url}/tollgate/dbt/index.html",
        "Data docs": f"{airflow.url}/tollgate/gx/index.html",
        "MLflow": f"{airflow.url}/mlflow/#/experiments",
        "Log in as": f"{airflow.username}; `make login` prints the password",
        "From tools": 'eval "$(make -s env)" gives the read-only logins',
        "Memory": f"{together:,.0f} MiB for all services",
    }
    return "\n".join(f"{name:<12}{text}" for name, text in lines.items())


def everything(console: Console, settings: Settings, found: dict[str, Any]) -> None:
    """Print all tables."""
    for part in (stages(found), gates(found), model(found), riskiest(found)):
        console.print()
        console.print(part)
    console.print()
    console.print(where_to_look(settings, found), soft_wrap=True, markup=False)
