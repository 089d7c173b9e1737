"""Features at a recorded snapshot of the lake, with the labels known by a point in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd

from contracts.columns import LABEL_SOURCES
from lake.read import of_source, read_dates
from ml.errors import DuplicateEvents
from ml.matrix import source_feature_names, to_floats, to_matrix

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

FEATURES_TABLE: Final = "sandbox.features"
LABELS_TABLE: Final = "processed.labels"
_EPOCH: Final = date(1970, 1, 1)
_KEY: Final = ["source_system", "event_id"]
_ORDER: Final = [(name, "ascending") for name in ("event_at", "source_system", "event_id")]
_STATEMENT: Final = (*_KEY, "is_fraud", "label_source", "known_at")
_ABOUT: Final = ("event_at", "event_date", "customer_id", "amount")


@dataclass(frozen=True)
class Dataset:
    """Labelled payments in time order; `matrix` and `rows` have the same order.

    `rows` has source_system, event_id, event_at, event_date, customer_id, amount (float), is_fraud,
    known_at; `unlabelled` counts payments without a label known in time.
    """

    rows: pd.DataFrame
    matrix: pd.DataFrame
    unlabelled: int


def snapshot_of(catalog: Catalog, table: str, snapshots: Mapping[str, int]) -> int:
    """Return the recorded snapshot of `table`, or the published one.

    Raises:
        LookupError: when the table has never been published.
    """
    if table in snapshots:
        return snapshots[table]
    current = catalog.load_table(table).current_snapshot()
    if current is None:
        raise LookupError(f"{table} was never published: run the stage that writes it first.")
    return int(current.snapshot_id)


def last_day(
    catalog: Catalog, snapshot: int, source: str, table_name: str = FEATURES_TABLE
) -> date:
    """Return the last business date of a source in a table that is partitioned by `event_date`.

    Raises:
        LookupError: when the source has none.
    """
    table = catalog.load_table(table_name)
    files = table.scan(of_source(source), snapshot_id=snapshot).plan_files()
    # Bounds select the files: the newest one may have rows of other sources only.
    for days in sorted({task.file.partition[0] for task in files}, reverse=True):
        day = _EPOCH + timedelta(days=days)
        condition = f"{of_source(source)} and event_date = '{day}'"
        rows = table.scan(condition, ("event_date",), snapshot_id=snapshot, limit=1).to_arrow()
        if rows.num_rows:
            return day
    raise LookupError(
        f"{table_name} has no row of {source} yet: run land_transactions for it first."
    )


def read_features(
    catalog: Catalog, snapshot: int, source: str, dates: Sequence[date] | None = None
) -> pa.Table:
    """Return the feature rows of a source at a snapshot, for `dates` or all, in time order."""
    return read_dates(catalog, FEATURES_TABLE, snapshot, dates, source).read_all().sort_by(_ORDER)


def read_labels(
    catalog: Catalog, snapshot: int, source: str, dates: Sequence[date] | None = None
) -> pa.Table:
    """Return the labels of a source at a snapshot, for payments of `dates` or all."""
    return read_dates(catalog, LABELS_TABLE, snapshot, dates, source).read_all()


def labelled(features: pa.Table, labels: pa.Table, as_of: datetime) -> Dataset:
    """Join features with the labels known at `as_of`.

    Payments from `as_of` on and labels known later are excluded. If a payment has several labels,
    the one known last counts; if they became known at the same instant, the source that is declared
    first in `LABEL_SOURCES`.

    Raises:
        DuplicateEvents: naming a payment that occurs more than once.
    """
    import pyarrow.compute as pc

    known = labels.select(list(_STATEMENT)).to_pandas()
    known = known[known["known_at"] <= as_of]
    known["trust"] = -known["label_source"].map(LABEL_SOURCES.index)
    known = known.sort_values(["known_at", "trust"], kind="stable").drop_duplicates(
        _KEY, keep="last"
    )
    past = features.filter(pc.less(features["event_at"], as_of)).sort_by(_ORDER)
    rows = past.select([*_KEY, *_ABOUT]).to_pandas().assign(amount=to_floats(past["amount"]))
    if rows.duplicated(_KEY).any():
        twice = rows.loc[rows.duplicated(_KEY), "event_id"].iloc[0]
        raise DuplicateEvents(f"payment {twice} occurs more than once in {FEATURES_TABLE}.")
    rows = rows.merge(known[[*_KEY, "is_fraud", "known_at"]], on=_KEY, how="left", sort=False)
    has_label = rows["known_at"].notna().to_numpy()
    rows = rows[has_label].reset_index(drop=True)
    rows["is_fraud"] = rows["is_fraud"].astype(bool)
    matrix = to_matrix(past, source_feature_names(past))[has_label].reset_index(drop=True)
    return Dataset(rows, matrix, int((~has_label).sum()))
