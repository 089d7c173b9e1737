"""The handbook's 14 features by Polars' rolling windows (dependency group `bench`)."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl


def run(files: Sequence[Path], target: Path) -> None:
    """Compute the features of `files` into `target`."""
    payments = (
        pl.scan_parquet([str(file) for file in files])
        .unique("TRANSACTION_ID", keep="any")
        .with_columns(pl.col("TX_DATETIME").dt.cast_time_unit("us"))
        .collect()
    )
    result = payments.select(
        "TRANSACTION_ID",
        amount=pl.col("TX_AMOUNT"),
        is_weekend=pl.col("TX_DATETIME").dt.weekday() >= 6,
        is_night=pl.col("TX_DATETIME").dt.hour() <= 6,
    )
    by_customer = payments.sort("CUSTOMER_ID", "TX_DATETIME", "TRANSACTION_ID")
    by_terminal = payments.sort("TERMINAL_ID", "TX_DATETIME", "TRANSACTION_ID")
    sides = [by_customer.select("TRANSACTION_ID"), by_terminal.select("TRANSACTION_ID")]
    for days in (1, 7, 30):
        rolled = by_customer.rolling("TX_DATETIME", period=f"{days}d", group_by="CUSTOMER_ID").agg(
            pl.len(), pl.col("TX_AMOUNT").mean()
        )
        sides[0] = sides[0].with_columns(
            rolled["len"].alias(f"customer_count_{days}d"),
            rolled["TX_AMOUNT"].alias(f"customer_mean_{days}d"),
        )
        rolled = by_terminal.rolling(
            "TX_DATETIME", period=f"{days}d", offset=f"-{days + 7}d", group_by="TERMINAL_ID"
        ).agg(pl.len(), pl.col("TX_FRAUD").mean().fill_null(0.0))
        sides[1] = sides[1].with_columns(
            rolled["len"].alias(f"terminal_count_{days}d"),
            rolled["TX_FRAUD"].alias(f"terminal_risk_{days}d"),
        )
    for side in sides:
        result = result.join(side, on="TRANSACTION_ID", how="left")
    result.write_parquet(target, compression="zstd")
