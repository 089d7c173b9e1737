"""A frame is checked where it enters and where it leaves."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.render.to_spark import dtypes
from contracts.tables import Table


class FrameError(TypeError):
    """Raised when a frame is not the table it should be."""


def conform(df: DataFrame, table: Table) -> DataFrame:
    """Select the columns of `table` in order and cast each to its declared type.

    Raises:
        FrameError: when columns are missing, naming each.
    """
    missing = [name for name in table.column_names if name not in df.columns]
    if missing:
        raise FrameError(f"the frame for {table.name} lacks {', '.join(missing)}")
    return df.select(*(F.col(name).cast(kind).alias(name) for name, kind in dtypes(table)))


def require(df: DataFrame, table: Table) -> DataFrame:
    """Return `df` when its columns, their order and their full types are those of `table`.

    Raises:
        FrameError: once, listing every difference.
    """
    expected, found = dict(dtypes(table)), dict(df.dtypes)
    said = [f"lacks {name} {kind}" for name, kind in expected.items() if name not in found]
    said += [f"has {name}, not declared" for name in found if name not in expected]
    said += [
        f"has {name} as {found[name]} instead of {kind}"
        for name, kind in expected.items()
        if name in found and found[name] != kind
    ]
    if not said and list(found) != list(expected):
        said.append(f"has the columns in the order {', '.join(found)}")
    if said:
        raise FrameError(f"the frame for {table.name} {'; '.join(said)}")
    return df
