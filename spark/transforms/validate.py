"""Validation of mapped rows: cast values, and list the reasons to refuse a row."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.values import CLOCK_TOLERANCE, VALUES, ValueClass
from sources.checks import (
    CODED,
    NUMBERED,
    PLACES,
    ROUNDED,
    allowed_codes,
    longest_texts,
    overlong,
    place_range,
    plausible,
)
from sources.currencies import ISO_4217
from sources.declaration import Source
from spark.transforms.text import escaped, is_overlong, is_unprintable

_BETWEEN = "\n"
"""What separates rules, which no rule has."""


def is_off_the_globe(place: Column, name: str) -> Column:
    """Return whether a coordinate is outside its declared range; false for null.

    >>> spark.range(1).select(is_off_the_globe(F.lit(95.0), "home_lat")).first()[0]
    True
    """
    inside = place.between(*map(F.lit, place_range(name)))
    return F.coalesce(~inside, F.lit(False))


def refusals(source: Source) -> dict[RejectReason, Column]:
    """Return, for each reason, the rule that a mapped row breaks, null for a row that keeps it.

    The rule is a text with its limit or its columns. It has no value of the row, because values may
    be personal.

    >>> from sources.handbook import HANDBOOK
    >>> payment = spark.sql("SELECT string(NULL) event_id")
    >>> payment.select(refusals(HANDBOOK)[RejectReason.MISSING_EVENT_ID]).first()[0]
    'the row has no payment identifier'
    """
    amount = F.col("amount")
    is_absurd = F.abs(amount) > F.lit(source.absurd_amount)
    unknown_code = {
        name: ~F.coalesce(F.col(name).isin(*sorted(allowed)), F.lit(name not in CODED))
        for name, allowed in allowed_codes(source).items()
    }
    damaged = {name: F.coalesce(F.col(name).rlike(ROUNDED), F.lit(False)) for name in NUMBERED}
    texts = _texts(source)
    is_currency = F.coalesce(F.col("currency").isin(*sorted(ISO_4217)), F.lit(False))
    about = {
        RejectReason.MISSING_EVENT_ID: F.col("event_id").isNull(),
        RejectReason.MISSING_CUSTOMER: F.col("customer_id").isNull(),
        RejectReason.DAMAGED_IDENTIFIER: damaged,
        RejectReason.UNPRINTABLE_TEXT: {
            n: is_unprintable(value) for n, (value, _) in texts.items()
        },
        RejectReason.OVERLONG_TEXT: {
            overlong(name, longest): is_overlong(value, longest)
            for name, (value, longest) in texts.items()
        },
        RejectReason.UNREADABLE_TIME: F.col("event_at").isNull(),
        RejectReason.IMPLAUSIBLE_TIME: {plausible(source): ~_is_plausible("event_at", source)},
        RejectReason.FUTURE_TIME: F.col("event_at") > F.col("ingested_at") + F.lit(CLOCK_TOLERANCE),
        RejectReason.UNREADABLE_AMOUNT: _is_flawed(RejectReason.UNREADABLE_AMOUNT),
        RejectReason.EXCESS_DECIMALS: _is_flawed(RejectReason.EXCESS_DECIMALS),
        RejectReason.NEGATIVE_AMOUNT: amount < 0,
        RejectReason.ABSURD_AMOUNT: {
            str(source.absurd_amount): _is_flawed(RejectReason.ABSURD_AMOUNT) | is_absurd
        },
        RejectReason.UNKNOWN_CURRENCY: ~is_currency,
        RejectReason.IMPOSSIBLE_PLACE: {
            name: is_off_the_globe(F.col(name), name) for name in PLACES
        },
        RejectReason.UNKNOWN_CODE: unknown_code,
    }
    unreadable = RejectReason.UNREADABLE_FEATURE
    names = F.col("unreadable_features")
    return {
        **{reason: _broken(DESCRIPTIONS[reason], what) for reason, what in about.items()},
        unreadable: F.concat(F.lit(f"{DESCRIPTIONS[unreadable]}: "), names),
    }


def business_date(at: Column, zone: str) -> Column:
    """Return the day of an instant in a zone.

    >>> at = F.lit("2024-03-30 23:30:00").cast("timestamp")
    >>> str(spark.range(1).select(business_date(at, "Europe/Berlin")).first()[0])
    '2024-03-31'
    """
    return F.to_date(at if zone == "UTC" else F.from_utc_timestamp(at, zone))


def _is_plausible(name: str, source: Source) -> Column:
    """Return whether the date of a time is in the declared range of the source; true for null."""
    day = business_date(F.col(name), source.zone)
    return F.coalesce(day.between(*map(F.lit, source.plausible_dates)), F.lit(True))


def _is_flawed(reason: RejectReason) -> Column:
    """Return whether reading the amount has given a reason to refuse it."""
    return F.coalesce(F.col("amount_flaw") == str(reason), F.lit(False))


def _broken(rule: str, about: Column | Mapping[str, Column]) -> Column:
    """Return the text of a rule where its condition is true, or those of what it is about."""
    if not isinstance(about, Mapping):
        return F.when(about, F.lit(rule))
    names = F.concat_ws(
        ", ", *(F.when(is_broken, F.lit(name)) for name, is_broken in about.items())
    )
    return F.when(names != "", F.concat(F.lit(f"{rule}: "), names))


def _texts(source: Source) -> dict[str, tuple[Column, int]]:
    """Return each text column that has values of a file, as text, and its most characters."""
    return {
        name: (
            F.array_join(name, ",") if VALUES[name] is ValueClass.LIST else F.col(name),
            longest,
        )
        for name, longest in longest_texts(source).items()
    }


def validate(df: DataFrame, source: Source) -> DataFrame:
    """Add `event_date`, null for a refused row, and `reasons` and `rules`, empty for a valid one.

    Every row is kept. The reasons are in the order of `RejectReason`, and each has its rule
    (`refusals`). An unreadable row has no other reason than that. The text of a row that is refused
    for it, or is unreadable, is escaped, so that every store takes it. A time that is not plausible
    is null.

    >>> from sources.handbook import HANDBOOK
    >>> from sources.rules import MAPPED_COLUMNS
    >>> row = spark.sql("SELECT -5BD amount, 'EUR' currency, now() ingested_at, true is_readable")
    >>> names = (*MAPPED_COLUMNS, "amount_flaw", "unreadable_features")
    >>> missing = {name: F.lit(None).cast("string") for name in names}
    >>> missing = {name: null for name, null in missing.items() if name not in row.columns}
    >>> checked = validate(row.withColumns(missing), HANDBOOK).first()
    >>> checked.reasons[:4]
    ['missing_event_id', 'missing_customer', 'unreadable_time', 'negative_amount']
    >>> checked.rules[3]
    'the amount is below zero'
    """
    rule_of = refusals(source)
    broken = {reason: f"broken_{reason}" for reason in rule_of}
    checked = df.withColumns({broken[reason]: rule for reason, rule in rule_of.items()})
    # Not array_compact, with which Spark interprets each condition instead of compiling it.
    codes = F.concat_ws(
        ",", *(F.when(F.col(name).isNotNull(), str(reason)) for reason, name in broken.items())
    )
    rules = F.concat_ws(_BETWEEN, *broken.values())
    unreadable_row = RejectReason.UNREADABLE_ROW
    is_unfit = (
        ~F.col("is_readable")
        | F.col(broken[RejectReason.UNPRINTABLE_TEXT]).isNotNull()
        | F.col(broken[RejectReason.OVERLONG_TEXT]).isNotNull()
    )
    texts = {
        name: F.when(
            is_unfit,
            F.lit(None) if VALUES[name] is ValueClass.LIST else escaped(F.col(name), longest),
        ).otherwise(F.col(name))
        for name, (_, longest) in _texts(source).items()
    }
    return checked.withColumns(
        {
            "reasons": _split(codes, ",", str(unreadable_row)),
            "rules": _split(rules, _BETWEEN, DESCRIPTIONS[unreadable_row]),
            # Not of a refused row: a date that stands for none, as 9999-12-31, has no neighbours.
            "event_date": F.when(
                F.col("is_readable") & (codes == ""),
                business_date(F.col("event_at"), source.zone),
            ),
            **{
                name: F.when(_is_plausible(name, source), F.col(name))
                for name in ("event_at", "label_known_at")
            },
            **texts,
        }
    ).drop("is_readable", "amount_flaw", "unreadable_features", *broken.values())


def _split(joined: Column, between: str, of_unreadable: str) -> Column:
    """Return a joined list as an array; that of an unreadable row has one element."""
    parts = F.when(joined == "", F.array().cast("array<string>")).otherwise(
        F.split(joined, between)
    )
    return F.when(F.col("is_readable"), parts).otherwise(F.array(F.lit(of_unreadable)))
