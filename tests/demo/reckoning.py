"""The sample counted by pandas alone: what the line must arrive at. Nothing of ours is used."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Day:
    """A business day of the sample."""

    rows: int
    amount: Decimal
    frauds: int
    customers: int


def reckon(folder: Path, first: str, last: str) -> dict[str, Day]:
    """Count each day from `first` to `last`, by the business date in the rows themselves."""
    days = [f"{day:%Y-%m-%d}" for day in pd.date_range(first, last)]
    rows = pd.concat([pd.read_parquet(folder / f"{day}.parquet") for day in days])
    assert not rows["trans_num"].duplicated().any(), "the sample has no repeats"
    rows["cents"] = (rows["amt"] * 100).round().astype("int64")
    return {
        str(day): Day(
            rows=len(group),
            amount=Decimal(int(group["cents"].sum())) / 100,
            frauds=int(group["is_fraud"].sum()),
            customers=group["acct_num"].nunique(),
        )
        for day, group in rows.groupby("trans_date")
    }
