"""Turn the rows of a source's file into canonical columns, by the source's declared mapping."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sources.declaration import (
    MAPPED_COLUMNS,
    NUMBER,
    BySuffix,
    Coded,
    Constant,
    Instant,
    Joined,
    RowNumber,
    Rule,
    Source,
    Take,
)

_NUMERIC = frozenset(
    {
        "amount",
        "transaction_lat",
        "transaction_lon",
        "home_lat",
        "home_lon",
        "payer_balance_before",
        "payer_balance_after",
        "payee_balance_before",
        "payee_balance_after",
    }
)
_NUMBERS = frozenset({"double", "bigint"})
_LINEAGE = ("raw_object", "raw_position", "ingested_at")


def text(value: Column) -> Column:
    """Return a text without surrounding blanks; an empty one is null.

    >>> spark.range(1).select(text(F.lit("  a ")).alias("a"), text(F.lit(" ")).alias("b")).first()
    Row(a='a', b=None)
    """
    trimmed = F.trim(value.cast("string"))
    return F.when(trimmed != "", trimmed)


def number(value: Column) -> Column:
    """Return a number; null stays null, and what is not a number becomes NaN.

    >>> spark.range(1).select(number(F.lit("8.50")).alias("a"), number(F.lit("8,5")).alias("b"))\
.first()
    Row(a=8.5, b=nan)
    """
    written = text(value)
    is_number = written.rlike(rf"\A({NUMBER})\z")
    return F.when(is_number, written.try_cast("double")).when(
        written.isNotNull(), F.lit(float("nan"))
    )


def finite(value: Column) -> Column:
    """Return a number as it is, and NaN for one without end.

    >>> spark.range(1).select(finite(F.lit(1.5)), finite(F.lit(float("-inf")))).first()[:]
    (1.5, nan)
    """
    return F.when(F.abs(value) < float("inf"), value).when(value.isNotNull(), F.lit(float("nan")))


def value_of(rule: Rule) -> Column:
    """Return the column expression of a mapping rule.

    >>> from sources.declaration import BySuffix
    >>> rule = BySuffix("category", {"_net": "web"}, otherwise="pos")
    >>> spark.sql("SELECT 'misc_net' AS category").select(value_of(rule).alias("channel")).first()
    Row(channel='web')
    """
    match rule:
        case Take(column, strip_prefix=""):
            return text(F.col(column))
        case Take(column, strip_prefix=prefix):
            value = text(F.col(column))
            return F.when(
                value.startswith(prefix), value.substr(F.lit(len(prefix) + 1), F.length(value))
            ).otherwise(value)
        case Constant(value):
            return F.lit(value)
        case Joined(columns, separator):
            return F.concat_ws(separator, *(text(F.col(name)) for name in columns))
        case Instant(date_column, time_column, pattern):
            both = F.concat_ws(" ", text(F.col(date_column)), text(F.col(time_column)))
            return F.try_to_timestamp(both, F.lit(pattern))
        case BySuffix(column, suffixes, otherwise):
            chosen = F.lit(otherwise)
            for suffix, code in suffixes.items():
                chosen = F.when(F.col(column).endswith(suffix), F.lit(code)).otherwise(chosen)
            return F.when(F.col(column).isNotNull(), chosen).otherwise(F.lit("unknown"))
        case Coded(column, codes):
            written = text(F.col(column))
            chosen = written
            for value, meaning in codes.items():
                chosen = F.when(written == value, F.lit(meaning).cast("string")).otherwise(chosen)
            return chosen
        case RowNumber():
            return F.col("raw_position")


def adapt(df: DataFrame, source: Source) -> DataFrame:
    """Select the canonical columns of a source's rows, one row in, one row out.

    `df` holds the file's columns and raw_object, raw_position and ingested_at. Nothing is judged
    here: an unreadable time is null, an unreadable number NaN. A source's own sequence number that
    is none gives way to the row's position.
    """
    types = dict(df.dtypes)
    mapped = []
    for name in MAPPED_COLUMNS:
        rule = source.mapping.get(name)
        if rule is None:
            kind = "double" if name in _NUMERIC else "string"
            column = F.lit(None).cast(kind)
        elif isinstance(rule, Take) and name in _NUMERIC and types[rule.column] in _NUMBERS:
            column = finite(F.col(rule.column).cast("double"))
        elif isinstance(rule, Take) and name == "event_at":
            column = F.col(rule.column).cast("timestamp")
        elif name in _NUMERIC:
            column = number(value_of(rule))
        elif name == "source_sequence":
            column = F.coalesce(value_of(rule).try_cast("bigint"), F.col("raw_position"))
        else:
            column = value_of(rule)
        mapped.append(column.alias(name))
    return df.select(
        F.lit(source.name).alias("source_system"),
        F.lit(source.schema_version).alias("schema_version"),
        *mapped,
        *_LINEAGE,
    )
