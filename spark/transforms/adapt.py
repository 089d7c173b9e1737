"""Canonical columns from the rows of a source's file, by the declared mapping of the source."""

from collections.abc import Mapping
from datetime import datetime, time
from itertools import chain
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.columns import LogicalType
from contracts.features import SOURCE_FEATURES
from contracts.values import (
    COORDINATE,
    FRAUD_WORDS,
    GENUINE_WORDS,
    MONEY_DECIMALS,
    NUMBER,
    VALUES,
    ValueClass,
)
from sources.declaration import Source, Version
from sources.number_format import NumberFormat
from sources.rules import (
    BETWEEN_FLAGS,
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
from sources.time_patterns import has_hour, has_zone, zone_variants
from spark.transforms.amounts import decimals_in, of_double, of_text, plain
from spark.transforms.text import text

_MONEY = frozenset(name for name, one in VALUES.items() if one is ValueClass.MONEY)
_PLACES = frozenset(name for name, one in VALUES.items() if one is ValueClass.PLACE)
_OTHER_TYPES = {
    **dict.fromkeys(_MONEY, str(LogicalType.MONEY)),
    **dict.fromkeys(_PLACES, "double"),
    "source_sequence": "bigint",
    "event_at": "timestamp",
    "label_known_at": "timestamp",
    "source_flags": "array<string>",
    "is_fraud": "boolean",
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


def _written(name: str) -> Column:
    """Return the value of a file column as text; `adapt` has made it canonical."""
    return F.col(f"`{name}`").cast("string")


def number(written: Column, numbers: NumberFormat, expression: str = NUMBER) -> Column:
    """Return a text as a number; null stays null, and what is not a number becomes NaN.

    `expression` is the form of a number.

    >>> one, two = (number(F.lit(v), NumberFormat()) for v in ("8.50", "8,5"))
    >>> spark.range(1).select(one, two, number(F.lit("8,5"), NumberFormat(","))).first()[:]
    (8.5, nan, 8.5)
    """
    plain_text = written if numbers.is_plain else plain(written, numbers)
    is_number = plain_text.rlike(rf"\A({expression})\z")
    return F.when(is_number, plain_text.try_cast("double")).when(
        written.isNotNull(), F.lit(float("nan"))
    )


def label(value: Column) -> Column:
    """Return whether a label says fraud, null for a value that is neither spelling.

    >>> values = ["1", "1.0", "TRUE", "yes", "0.00", "false", "2", "NaN", "maybe"]
    >>> frame = spark.createDataFrame([(value,) for value in values], "value string")
    >>> [row[0] for row in frame.select(label(F.col("value"))).collect()]
    [True, True, True, True, False, False, None, None, None]
    """
    written = F.lower(value.cast("string"))
    as_number = number(written, NumberFormat())
    is_fraud = written.isin(*FRAUD_WORDS) | (as_number == 1)
    is_genuine = written.isin(*GENUINE_WORDS) | (as_number == 0)
    return F.when(is_fraud, True).when(is_genuine, False)


def finite(value: Column) -> Column:
    """Return a number unchanged, and NaN for an infinite one.

    >>> spark.range(1).select(finite(F.lit(1.5)), finite(F.lit(float("-inf")))).first()[:]
    (1.5, nan)
    """
    return F.when(F.abs(value) < float("inf"), value).when(value.isNotNull(), F.lit(float("nan")))


def counted_instant(count: Column, base_seconds: int, numerator: int, denominator: int) -> Column:
    """Return the instant `count` * `numerator` / `denominator` seconds after the base.

    A count may have an exponent or decimals, if it is a whole number.

    >>> at = counted_instant(F.lit("2"), 0, 3600, 1).cast("string").alias("at")
    >>> spark.range(1).select(at).first()
    Row(at='1970-01-01 02:00:00')
    >>> counts = spark.createDataFrame([("1.7e+09",), ("1.5",), ("1.7E+09",)], "v string")
    >>> at = counted_instant(counts.v, 0, 1, 1).cast("string")
    >>> [row[0] for row in counts.select(at).collect()]
    ['2023-11-14 22:13:20', None, None]
    """
    is_number = count.rlike(rf"\A({NUMBER})\z")
    exact = F.when(is_number, count).try_cast("decimal(38,15)")
    whole = F.coalesce(count.try_cast("bigint"), F.when(exact % 1 == 0, exact).try_cast("bigint"))
    limit = _FAR_SECONDS * denominator // numerator
    is_near = whole.between(F.lit(-limit), F.lit(limit))
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


def of_zone(local: Column, zone: str, has_hour: bool = True) -> Column:
    """Return the instant of a local time of a zone, which `local` has as if it were of UTC.

    A time that a clock shows twice, when it is set back, is the first one. A time that it skips,
    when it is set forward, is null; a date without an hour is the first instant of its day.

    >>> local = "2024-03-31 01:30:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00"
    >>> rows = spark.createDataFrame([(text,) for text in local], "v string")
    >>> at = of_zone(rows.v.cast("timestamp"), "Europe/Berlin").cast("string")
    >>> [row[0] for row in rows.select(at).collect()]
    ['2024-03-31 00:30:00', None, '2024-10-27 00:30:00']
    """
    if zone == "UTC":
        return local
    at = F.to_utc_timestamp(local, zone)
    return F.when(F.from_utc_timestamp(at, zone) == local, at) if has_hour else at


def _read_time(rule: Instant, pattern: TimePattern, zone: str) -> Column:
    both = F.concat_ws(" ", *(_written(name) for name in rule.columns))
    times = [
        (F.try_to_timestamp(both, F.lit(variant)), has_zone(variant), has_hour(variant))
        for variant in ([pattern.pattern] if zone == "UTC" else zone_variants(pattern.pattern))
    ]
    return F.coalesce(
        *(time if is_instant else of_zone(time, zone, hour) for time, is_instant, hour in times)
    )


def _instant(rule: Instant, types: Mapping[str, str], zone: str) -> Column:
    if len(rule.columns) == 1 and types[rule.columns[0]] in _TIMESTAMPS:
        time = F.col(f"`{rule.columns[0]}`").cast("timestamp")
        return of_zone(time, zone) if types[rule.columns[0]] == "timestamp_ntz" else time
    return F.coalesce(*(_read_time(rule, pattern, zone) for pattern in rule.patterns))


def _precision(rule: Instant, types: Mapping[str, str]) -> Column:
    precisions = sorted({pattern.precision for pattern in rule.patterns} - {"second"})
    if not precisions or (len(rule.columns) == 1 and types[rule.columns[0]] in _TIMESTAMPS):
        return F.lit("second")
    read = [(_read_time(rule, one, "UTC").isNotNull(), one.precision) for one in rule.patterns]
    chosen = F.when(read[0][0], read[0][1])
    for is_read, precision in read[1:]:
        chosen = chosen.when(is_read, precision)
    # The precision of an unreadable time is unknown; validation refuses the row anyway.
    return chosen.otherwise("second")


def _flags(rule: Flags, types: Mapping[str, str], numbers: NumberFormat) -> Column:
    single_flags = [
        F.when(F.lower(_written(name)).isin(*_SET), F.lit(flag))
        for name, flag in rule.columns.items()
    ]
    if rule.rounded:
        rounded = [is_rounded(_double(name, types, numbers)) for name in rule.rounded]
        single_flags.append(F.when(F.greatest(*rounded), F.lit("rounded_balance")))
    flags = F.array(*single_flags) if single_flags else F.array().cast("array<string>")
    for name in rule.lists:
        listed = _written(name)
        as_json = F.from_json(listed, "array<string>")
        parts = F.when(listed.startswith("["), as_json).otherwise(F.split(listed, BETWEEN_FLAGS))
        flags = F.concat(flags, F.coalesce(parts, F.array().cast("array<string>")))
    names = F.array_distinct(F.filter(flags, lambda flag: flag.isNotNull() & (flag != "")))
    return F.when(F.size(names) > 0, names)


def _double(
    column: str, types: Mapping[str, str], numbers: NumberFormat, expression: str = NUMBER
) -> Column:
    if types[column] in _NUMBERS:
        return finite(F.col(f"`{column}`").cast("double"))
    numbers = numbers if types[column] == "string" else NumberFormat()
    return number(_written(column), numbers, expression)


def _joined(rule: Joined, is_identifier: bool) -> Column:
    """Return the parts as one text, null without a part.

    An identifier keeps empty parts, and escapes the separator in a part, so that two lists of parts
    never give the same one.
    """
    parts = [_written(name) for name in rule.columns]
    is_there = F.coalesce(*parts).isNotNull()
    if is_identifier:
        separator, escape = F.lit(rule.separator), F.lit("\\")
        for mark in (escape, separator) if rule.separator else ():
            parts = [F.replace(part, mark, F.concat(escape, mark)) for part in parts]
        parts = [F.coalesce(part, F.lit("")) for part in parts]
    return F.when(is_there, F.concat_ws(rule.separator, *parts))


def _place(rule: Rule, types: Mapping[str, str], numbers: NumberFormat) -> Column:
    if isinstance(rule, Take) and not rule.strip_prefix:
        return _double(rule.column, types, numbers, COORDINATE)
    return number(value_of(rule, types), numbers, COORDINATE)


def _money(
    rule: Rule, types: Mapping[str, str], numbers: NumberFormat, digits: Column, most: Column
) -> tuple[Column, Column]:
    """Read money: `digits` are those of the minor unit, `most` the decimals that it may have."""
    if isinstance(rule, Take) and types[rule.column] == "double" and not rule.strip_prefix:
        value = F.col(f"`{rule.column}`")
        return of_double(value / F.pow(F.lit(10.0), digits) if numbers.minor_units else value, most)
    written = value_of(rule, types).cast("string")
    if not numbers.is_plain and not (isinstance(rule, Take) and types[rule.column] != "string"):
        written = plain(written, numbers)
    if numbers.minor_units:
        written = F.concat(written, F.lit("e-"), digits.cast("string"))
    return of_text(written, most)


def _features(
    version: Version, types: Mapping[str, str], numbers: NumberFormat
) -> tuple[Column, Column]:
    """Return the source features by name, null without any, and the names of unreadable ones."""
    numbers_of = {
        name: finite(_double(column, types, numbers))
        for name, column in sorted(version.features.items())
    }
    values = {name: F.when(~F.isnan(value), value) for name, value in numbers_of.items()}
    by_name = F.create_map(*chain.from_iterable((F.lit(n), v) for n, v in values.items()))
    has_any = F.coalesce(*values.values(), F.lit(None)).isNotNull()
    unreadable = (F.when(F.isnan(value), F.lit(name)) for name, value in numbers_of.items())
    return (
        F.when(has_any, by_name).cast(str(LogicalType.DOUBLES_BY_NAME)),
        F.nullif(F.concat_ws(", ", *unreadable), F.lit("")),
    )


def value_of(
    rule: Rule,
    types: Mapping[str, str],
    is_identifier: bool = False,
    zone: str = "UTC",
    numbers: NumberFormat = NumberFormat(),  # noqa: B008 - frozen
) -> Column:
    """Return the column expression of a mapping rule; `types` are the types of the file's columns.

    Text of the file is canonical (`spark.transforms.text.text`). Times without a zone are of
    `zone`, and balances among flags are written as `numbers`.

    >>> from sources.rules import ByAffix
    >>> rule = ByAffix("category", suffixes={"_net": "web"}, otherwise="pos")
    >>> frame = spark.sql("SELECT 'misc_net' AS category")
    >>> frame.select(value_of(rule, {"category": "string"}).alias("channel")).first()
    Row(channel='web')
    """
    match rule:
        case Take(column, strip_prefix=""):
            return _written(column)
        case Take(column, strip_prefix=prefix):
            value = _written(column)
            rest = F.trim(value.substr(F.lit(len(prefix) + 1), F.length(value)))
            is_prefixed = value.startswith(prefix)
            return F.when(is_prefixed & (rest == ""), None).when(is_prefixed, rest).otherwise(value)
        case Constant(value):
            return F.lit(value)
        case Joined():
            return _joined(rule, is_identifier)
        case Instant():
            return _instant(rule, types, zone)
        case Precision(instant):
            return _precision(instant, types)
        case Steps(column, base, seconds):
            start = int(datetime.combine(base, time(), ZoneInfo(zone)).timestamp())
            return counted_instant(_written(column), start, seconds, 1)
        case Epoch(column, per_second):
            return counted_instant(_written(column), 0, 1, per_second)
        case ByAffix(column, otherwise, prefixes, suffixes):
            value = _written(column)
            chosen = F.lit(otherwise)
            for suffix, code in suffixes.items():
                chosen = F.when(value.endswith(suffix), F.lit(code)).otherwise(chosen)
            for prefix, code in prefixes.items():
                chosen = F.when(value.startswith(prefix), F.lit(code)).otherwise(chosen)
            return F.when(value.isNotNull(), chosen).otherwise(F.lit("unknown"))
        case Coded(column, codes, missing):
            value = F.lower(_written(column))
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
            return _flags(rule, types, numbers)


def adapt(df: DataFrame, source: Source, version: Version) -> DataFrame:
    """Return the canonical columns of the rows of a source, one row for each row of `df`.

    `df` has the columns of the layout `version`, as text or in the types of the file, and
    raw_object, raw_position, ingested_at and is_readable. This step validates nothing: an
    unreadable time, label or feature is null, an unreadable coordinate NaN. `amount_flaw` is the
    reason why an amount is null, `unreadable_features` names such features. A sequence number that
    is unreadable or negative is replaced by the position of the row.

    >>> from sources.handbook import HANDBOOK
    >>> file = spark.sql(
    ...     "SELECT 7L TRANSACTION_ID, timestamp '2018-04-01' TX_DATETIME, 3L CUSTOMER_ID,"
    ...     " 9L TERMINAL_ID, 8.5D TX_AMOUNT, 0L TX_FRAUD, 0L TX_FRAUD_SCENARIO,"
    ...     " 'day' raw_object, 0L raw_position, now() ingested_at, true is_readable"
    ... )
    >>> row = adapt(file, HANDBOOK, HANDBOOK.versions[0]).first()
    >>> row.event_id, row.amount, row.currency, row.country
    ('7', Decimal('8.5000'), 'EUR', None)
    """
    types = dict(df.dtypes)
    read = df.select(
        *(
            text(F.col(f"`{name}`")).alias(name)
            if types[name] == "string" and name not in _LINEAGE
            else F.col(f"`{name}`")
            for name in df.columns
        )
    )
    mapping = version.mapping
    currency = F.upper(value_of(mapping["currency"], types))
    digits = decimals_in(currency)
    most = digits if source.checks_minor_units else F.lit(MONEY_DECIMALS)
    amount, flaw = _money(mapping["amount"], types, source.numbers, digits, most)
    own = {"amount": amount, "currency": currency}
    if source.negative_amounts == "refund":
        kind = value_of(mapping["transaction_type"], types)
        own["amount"] = F.abs(amount)
        own["transaction_type"] = F.when(amount < 0, F.lit("refund")).otherwise(kind)
    features, unreadable = _features(version, types, source.numbers)
    mapped = [flaw.alias("amount_flaw"), unreadable.alias("unreadable_features")]
    for name in MAPPED_COLUMNS:
        rule = mapping.get(name)
        if name in own:
            column = own[name]
        elif rule is None:
            column = F.lit(None).cast(_OTHER_TYPES.get(name, "string"))
        elif name in _MONEY:
            column, _ = _money(rule, types, source.numbers, digits, most)
        elif name in _PLACES:
            column = _place(rule, types, source.numbers)
        elif name == "is_fraud":
            column = label(value_of(rule, types))
        elif name == "source_sequence":
            count = value_of(rule, types).try_cast("bigint")
            column = F.when(count >= 0, count).otherwise(F.col("raw_position"))
        else:
            is_identifier = VALUES[name] is ValueClass.IDENTIFIER
            column = value_of(rule, types, is_identifier, source.zone, source.numbers)
        mapped.append(column.alias(name))
    return read.select(
        F.lit(source.name).alias("source_system"),
        F.lit(version.number).alias("schema_version"),
        *mapped,
        features.alias(SOURCE_FEATURES),
        *_LINEAGE,
    )
