"""Canonical columns from the rows of a source's file, by the declared mapping of the source."""

from collections.abc import Mapping
from datetime import UTC, datetime, time

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sources.declaration import NUMBER, Source, Version
from sources.rules import (
    MAPPED_COLUMNS,
    ByAffix,
    Coded,
    Constant,
    Epoch,
    Flags,
    Instant,
    Joined,
    PositionHash,
    Precision,
    RowNumber,
    Rule,
    Steps,
    Take,
    TimePattern,
)

_DOUBLES = frozenset(
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
_OTHER_TYPES = {
    **dict.fromkeys(_DOUBLES, "double"),
    "source_sequence": "bigint",
    "event_at": "timestamp",
    "label_known_at": "timestamp",
    "source_flags": "array<string>",
}
"""Types of the mapped columns that are not text."""
_NUMBERS = frozenset({"double", "bigint"})
_TIMESTAMPS = frozenset({"timestamp", "timestamp_ntz"})
_LINEAGE = ("raw_object", "raw_position", "ingested_at", "is_readable")
_SET = ("1", "true")
_ROUNDED_BEYOND = 1e7
_SECOND = 1_000_000
_FAR_SECONDS = 10**12
"""Limit of counted times in seconds; larger ones are invalid and would overflow."""


def text(value: Column) -> Column:
    """Return a text without surrounding blanks; an empty text is null.

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
    """Return a number unchanged, and NaN for an infinite one.

    >>> spark.range(1).select(finite(F.lit(1.5)), finite(F.lit(float("-inf")))).first()[:]
    (1.5, nan)
    """
    return F.when(F.abs(value) < float("inf"), value).when(value.isNotNull(), F.lit(float("nan")))


def counted_instant(count: Column, base_seconds: int, numerator: int, denominator: int) -> Column:
    """Return the instant `count` * `numerator` / `denominator` seconds after the base.

    >>> at = counted_instant(F.lit("2"), 0, 3600, 1).cast("string").alias("at")
    >>> spark.range(1).select(at).first()
    Row(at='1970-01-01 02:00:00')
    """
    whole = count.try_cast("bigint")
    is_near = F.abs(whole) < F.lit(_FAR_SECONDS * denominator // numerator)
    micros = F.when(is_near, whole) * F.lit(_SECOND * numerator // denominator)
    return F.timestamp_micros(micros + F.lit(base_seconds * _SECOND))


def is_rounded(balance: Column) -> Column:
    """Return whether an amount above ten million has only three digits that are not zero.

    Ten million itself is excluded: a simulated account has it after its largest transfer.

    >>> frame = spark.createDataFrame([(13300000.0,), (13312345.5,), (500.0,)], "b double")
    >>> [row[0] for row in frame.select(is_rounded(F.col("b"))).collect()]
    [True, False, False]
    """
    size = F.abs(balance)
    step = F.pow(F.lit(10.0), F.floor(F.log10(size)) - 2)
    return F.coalesce((size > _ROUNDED_BEYOND) & (size % step == 0), F.lit(False))


def _read_time(rule: Instant, pattern: TimePattern) -> Column:
    both = F.concat_ws(" ", *(text(F.col(f"`{name}`")) for name in rule.columns))
    return F.try_to_timestamp(both, F.lit(pattern.pattern))


def _instant(rule: Instant, types: Mapping[str, str]) -> Column:
    if len(rule.columns) == 1 and types[rule.columns[0]] in _TIMESTAMPS:
        return F.col(f"`{rule.columns[0]}`").cast("timestamp")
    return F.coalesce(*(_read_time(rule, pattern) for pattern in rule.patterns))


def _precision(rule: Instant, types: Mapping[str, str]) -> Column:
    precisions = sorted({pattern.precision for pattern in rule.patterns} - {"second"})
    if not precisions or (len(rule.columns) == 1 and types[rule.columns[0]] in _TIMESTAMPS):
        return F.lit("second")
    read = [(_read_time(rule, one).isNotNull(), one.precision) for one in rule.patterns]
    chosen = F.when(read[0][0], read[0][1])
    for is_read, precision in read[1:]:
        chosen = chosen.when(is_read, precision)
    # The precision of an unreadable time is unknown; validation refuses the row anyway.
    return chosen.otherwise("second")


def _flags(rule: Flags, types: Mapping[str, str]) -> Column:
    single_flags = [
        F.when(F.lower(text(F.col(f"`{name}`"))).isin(*_SET), F.lit(flag))
        for name, flag in rule.columns.items()
    ]
    if rule.rounded:
        rounded = [is_rounded(_double(name, types)) for name in rule.rounded]
        single_flags.append(F.when(F.greatest(*rounded), F.lit("rounded_balance")))
    flags = F.array(*single_flags) if single_flags else F.array().cast("array<string>")
    for name in rule.lists:
        listed = text(F.col(f"`{name}`"))
        as_json = F.from_json(listed, "array<string>")
        parts = F.when(listed.startswith("["), as_json).otherwise(F.split(listed, r"\s*,\s*"))
        flags = F.concat(flags, F.coalesce(parts, F.array().cast("array<string>")))
    names = F.array_distinct(F.filter(flags, lambda flag: flag.isNotNull() & (flag != "")))
    return F.when(F.size(names) > 0, names)


def _double(column: str, types: Mapping[str, str]) -> Column:
    if types[column] in _NUMBERS:
        return finite(F.col(f"`{column}`").cast("double"))
    return number(F.col(f"`{column}`"))


def value_of(rule: Rule, types: Mapping[str, str]) -> Column:
    """Return the column expression of a mapping rule; `types` are the types of the file's columns.

    >>> from sources.rules import ByAffix
    >>> rule = ByAffix("category", suffixes={"_net": "web"}, otherwise="pos")
    >>> frame = spark.sql("SELECT 'misc_net' AS category")
    >>> frame.select(value_of(rule, {"category": "string"}).alias("channel")).first()
    Row(channel='web')
    """
    match rule:
        case Take(column, strip_prefix=""):
            return text(F.col(f"`{column}`"))
        case Take(column, strip_prefix=prefix):
            value = text(F.col(f"`{column}`"))
            return F.when(
                value.startswith(prefix), value.substr(F.lit(len(prefix) + 1), F.length(value))
            ).otherwise(value)
        case Constant(value):
            return F.lit(value)
        case Joined(columns, separator):
            return F.concat_ws(separator, *(text(F.col(f"`{name}`")) for name in columns))
        case Instant():
            return _instant(rule, types)
        case Precision(instant):
            return _precision(instant, types)
        case Steps(column, base, seconds):
            start = int(datetime.combine(base, time(), UTC).timestamp())
            return counted_instant(text(F.col(f"`{column}`")), start, seconds, 1)
        case Epoch(column, per_second):
            return counted_instant(text(F.col(f"`{column}`")), 0, 1, per_second)
        case ByAffix(column, otherwise, prefixes, suffixes):
            value = text(F.col(f"`{column}`"))
            chosen = F.lit(otherwise)
            for suffix, code in suffixes.items():
                chosen = F.when(value.endswith(suffix), F.lit(code)).otherwise(chosen)
            for prefix, code in prefixes.items():
                chosen = F.when(value.startswith(prefix), F.lit(code)).otherwise(chosen)
            return F.when(value.isNotNull(), chosen).otherwise(F.lit("unknown"))
        case Coded(column, codes, missing):
            value = F.lower(text(F.col(f"`{column}`")))
            chosen = value
            for written, meaning in codes.items():
                code = F.lit(meaning).cast("string")
                chosen = F.when(value == written.lower(), code).otherwise(chosen)
            return chosen if missing is None else F.when(value.isNull(), missing).otherwise(chosen)
        case RowNumber():
            return F.col("raw_position")
        case PositionHash():
            return F.sha2(F.concat_ws("|", "raw_object", "raw_position"), 256)
        case Flags():
            return _flags(rule, types)


def adapt(df: DataFrame, source: Source, version: Version) -> DataFrame:
    """Return the canonical columns of the rows of a source, one row for each row of `df`.

    `df` has the columns of the layout `version`, as text or in the types of the file, and
    raw_object, raw_position, ingested_at and is_readable. This step validates nothing: an
    unreadable time is null, an unreadable number NaN. An unreadable sequence number is replaced by
    the position of the row.

    >>> from sources.handbook import HANDBOOK
    >>> file = spark.sql(
    ...     "SELECT 7L TRANSACTION_ID, timestamp '2018-04-01' TX_DATETIME, 3L CUSTOMER_ID,"
    ...     " 9L TERMINAL_ID, 8.5D TX_AMOUNT, 0L TX_FRAUD, 0L TX_FRAUD_SCENARIO,"
    ...     " 'day' raw_object, 0L raw_position, now() ingested_at, true is_readable"
    ... )
    >>> row = adapt(file, HANDBOOK, HANDBOOK.versions[0]).first()
    >>> row.event_id, row.amount, row.currency, row.country
    ('7', 8.5, 'EUR', None)
    """
    types = dict(df.dtypes)
    mapped = []
    for name in MAPPED_COLUMNS:
        rule = version.mapping.get(name)
        if rule is None:
            column = F.lit(None).cast(_OTHER_TYPES.get(name, "string"))
        elif isinstance(rule, Take) and name in _DOUBLES and not rule.strip_prefix:
            column = _double(rule.column, types)
        elif name in _DOUBLES:
            column = number(value_of(rule, types))
        elif name == "source_sequence":
            column = F.coalesce(value_of(rule, types).try_cast("bigint"), F.col("raw_position"))
        else:
            column = value_of(rule, types)
        mapped.append(column.alias(name))
    return df.select(
        F.lit(source.name).alias("source_system"),
        F.lit(version.number).alias("schema_version"),
        *mapped,
        *_LINEAGE,
    )
