"""The input matrix of models from feature rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts.features import FEATURE_NAMES, SOURCE_FEATURES

if TYPE_CHECKING:
    import pyarrow as pa


def to_floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column as float64, null as NaN.

    Decimals are cast via text: Arrow's cast sometimes differs in the last place, and a caller that
    parsed the same amount from JSON would get another score.
    """
    import pyarrow as pa

    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(floats, dtype=np.float64)


def source_feature_names(table: pa.Table) -> tuple[str, ...]:
    """Return the sorted names of the source features of `table`, null or not.

    A slice of a table may have names of other rows too: they are null in each of its rows.
    """
    import pyarrow.compute as pc

    chunks = table.column(SOURCE_FEATURES).chunks
    return tuple(sorted({name for chunk in chunks for name in pc.unique(chunk.keys).to_pylist()}))


def to_matrix(table: pa.Table, source_features: Sequence[str] = ()) -> pd.DataFrame:
    """Return the features of `table` as float64: `FEATURE_NAMES`, then `source_features`.

    Training, batch scoring and the API call this function, so that all read features in the same
    way. Money and flags become numbers, null becomes NaN, and rows keep their order. A source
    feature that a row lacks is NaN.

    Raises:
        ValueError: naming every column that `table` lacks.
    """
    import pyarrow.compute as pc

    needed = (*FEATURE_NAMES, *([SOURCE_FEATURES] if source_features else []))
    present = set(table.column_names)
    missing = [name for name in needed if name not in present]
    if missing:
        raise ValueError(f"the feature rows lack {', '.join(missing)}: run prepare_sandbox first.")
    columns = {name: table.column(name) for name in FEATURE_NAMES}
    for name in source_features:
        columns[name] = pc.map_lookup(table.column(SOURCE_FEATURES), name, "first")
    return pd.DataFrame({name: to_floats(column) for name, column in columns.items()})
