"""The handbook's 14 features as one DuckDB query (dependency group `bench`)."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

_SIDES = (
    ("customer", "CUSTOMER_ID", 0, "mean", "avg(TX_AMOUNT)"),
    ("terminal", "TERMINAL_ID", 7, "risk", "avg(TX_FRAUD)"),
)


def run(files: Sequence[Path], target: Path) -> None:
    """Compute the features of `files` into `target`."""
    columns, windows = [], []
    for side, key, delay, measure, formula in _SIDES:
        for days in (1, 7, 30):
            name = f"{side}_{days}"
            columns += [
                f"count(*) OVER {name} AS {side}_count_{days}d",
                f"coalesce({formula} OVER {name}, 0) AS {side}_{measure}_{days}d",
            ]
            windows.append(
                f"{name} AS (PARTITION BY {key} ORDER BY second RANGE BETWEEN"
                f" {(days + delay) * 86_400 - 1} PRECEDING AND {delay * 86_400} PRECEDING)"
            )
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            COPY (
                WITH payments AS (
                    SELECT DISTINCT ON (TRANSACTION_ID) *, epoch(TX_DATETIME)::BIGINT AS second
                    FROM read_parquet($files)
                )
                SELECT
                    TRANSACTION_ID,
                    TX_AMOUNT AS amount,
                    isodow(TX_DATETIME) >= 6 AS is_weekend,
                    hour(TX_DATETIME) <= 6 AS is_night,
                    {", ".join(columns)}
                FROM payments
                WINDOW {", ".join(windows)}
            ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
            """,  # noqa: S608 - our own names and our own folder
            {"files": [str(file) for file in files]},
        )
