"""The input matrix of models from feature rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts.features import FEATURE_NAMES

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


def to_matrix(table: pa.Table) -> pd.DataFrame:
    """Return the features of `table` as float64, in the order of `FEATURE_NAMES`.

    Training, batch scoring and the API call this function, so that all read features in the same
    way. Money and flags become numbers, null becomes NaN, and rows keep their order.

    Raises:
        ValueError: naming every feature that `table` lacks.
    """
    missing = [name for name in FEATURE_NAMES if name not in table.column_names]
    if missing:
        raise ValueError(f"the feature rows lack {', '.join(missing)}: run prepare_sandbox first.")
    return pd.DataFrame(
        {name: to_floats(table.column(name)) for name in FEATURE_NAMES},
        columns=list(FEATURE_NAMES),
    )
