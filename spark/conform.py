"""Conform a frame to the declaration of its table before it is written."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.render.to_spark import dtypes
from contracts.tables import Table


class FrameError(TypeError):
    """Raised when a frame lacks columns of its table."""


def conform(df: DataFrame, table: Table) -> DataFrame:
    """Select the columns of `table` in order and cast each to its declared type.

    Raises:
        FrameError: when columns are missing, naming each.
    """
    missing = [name for name in table.column_names if name not in df.columns]
    if missing:
        raise FrameError(f"the frame for {table.name} lacks {', '.join(missing)}")
    return df.select(*(F.col(name).cast(kind).alias(name) for name, kind in dtypes(table)))
