"""Validation of mapped rows: cast values, and list the reasons to refuse a row."""

from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.columns import COLUMNS
from contracts.reasons import RejectReason
from sources.currencies import ISO_4217
from sources.declaration import Source

_MONEY = "decimal(18,2)"
_CODED = (
    "event_at_precision",
    "counterparty_type",
    "transaction_type",
    "channel",
    "payment_method",
)
_IDENTIFIERS = ("event_id", "customer_id", "instrument_id", "counterparty_id")
_ROUNDED = r"^[0-9](\.[0-9]+)?[eE]\+[0-9]{1,3}$"
"""A long number as a spreadsheet writes it, rounded to at most fifteen digits."""
_PLACES = ("transaction_lat", "transaction_lon", "home_lat", "home_lon")
_BALANCES = tuple(
    f"{party}_balance_{moment}" for party in ("payer", "payee") for moment in ("before", "after")
)


def is_whole_cents(amount: Column) -> Column:
    """Return whether a double is a whole number of cents, up to the error of its binary form.

    >>> frame = spark.createDataFrame([(84.37,), (0.005,)], "amount double")
    >>> [row[0] for row in frame.select(is_whole_cents(F.col("amount"))).collect()]
    [True, False]
    """
    # Not round, which converts a double to a decimal.
    return F.abs(amount * 100 - F.rint(amount * 100)) < 1e-6


def is_unreadable_amount(amount: Column, absurd: Decimal) -> Column:
    """Return whether an amount is missing, not a number, or finer than a cent.

    An amount above `absurd` is readable: a double cannot represent its cents, and the row is
    refused for its amount.

    >>> frame = spark.createDataFrame([(8.5,), (0.005,), (None,)], "amount double")
    >>> unreadable = is_unreadable_amount(F.col("amount"), absurd=Decimal(100))
    >>> [row[0] for row in frame.select(unreadable).collect()]
    [False, True, True]
    """
    is_number = amount.isNotNull() & ~F.isnan(amount)
    is_fine = (F.abs(amount) > float(absurd)) | is_whole_cents(amount)
    return ~F.coalesce(is_number & is_fine, F.lit(False))


def money(amount: Column) -> Column:
    """Return a double as decimal(18,2), half up; null when it does not fit.

    >>> spark.range(1).select(money(F.lit(84.37)).alias("amount")).first()
    Row(amount=Decimal('84.37'))
    """
    is_number = amount.isNotNull() & ~F.isnan(amount) & (F.abs(amount) < 1e16)
    return F.when(is_number, amount).try_cast(_MONEY)


def is_off_the_globe(place: Column, name: str) -> Column:
    """Return whether a coordinate is outside its declared range; false for null.

    >>> spark.range(1).select(is_off_the_globe(F.lit(95.0), "home_lat")).first()[0]
    True
    """
    declared = COLUMNS[name]
    inside = place.between(F.lit(float(declared.minimum)), F.lit(float(declared.maximum)))  # type: ignore[arg-type]
    return F.coalesce(~inside, F.lit(False))


def refusals(source: Source) -> dict[RejectReason, Column]:
    """Return, for each reason, the condition on mapped rows that it refuses.

    >>> from sources.handbook import HANDBOOK
    >>> payment = spark.sql("SELECT string(NULL) event_id")
    >>> payment.select(refusals(HANDBOOK)[RejectReason.MISSING_EVENT_ID]).first()[0]
    True
    """
    amount = F.col("amount")
    unreadable = is_unreadable_amount(amount, source.absurd_amount)
    codes = {**{name: COLUMNS[name].allowed or () for name in _CODED}, **source.codes}
    off_the_globe = F.lit(False)
    for name in _PLACES:
        off_the_globe = off_the_globe | is_off_the_globe(F.col(name), name)
    unknown_code = F.lit(False)
    for name, allowed in codes.items():
        is_unknown = ~F.col(name).isin(*allowed)
        is_missing = F.col(name).isNull() & F.lit(name in _CODED)
        unknown_code = unknown_code | F.coalesce(is_unknown, F.lit(False)) | is_missing
    # A thousand card numbers round to 4.78E+18, so the payer is unknown.
    is_damaged = F.lit(False)
    for name in _IDENTIFIERS:
        is_damaged = is_damaged | F.coalesce(F.col(name).rlike(_ROUNDED), F.lit(False))
    unknown_code = unknown_code | F.coalesce(~F.col("country").rlike("^[A-Z]{2}$"), F.lit(False))
    return {
        RejectReason.MISSING_EVENT_ID: F.col("event_id").isNull(),
        RejectReason.MISSING_CUSTOMER: F.col("customer_id").isNull(),
        RejectReason.DAMAGED_IDENTIFIER: is_damaged,
        RejectReason.UNREADABLE_TIME: F.col("event_at").isNull(),
        RejectReason.FUTURE_TIME: F.col("event_at") > F.col("ingested_at"),
        RejectReason.UNREADABLE_AMOUNT: unreadable,
        RejectReason.NEGATIVE_AMOUNT: ~unreadable & (amount < 0),
        RejectReason.ABSURD_AMOUNT: ~unreadable & (F.abs(amount) > float(source.absurd_amount)),
        RejectReason.UNKNOWN_CURRENCY: ~F.coalesce(
            F.col("currency").isin(*sorted(ISO_4217)), F.lit(False)
        ),
        RejectReason.IMPOSSIBLE_PLACE: off_the_globe,
        RejectReason.UNKNOWN_CODE: unknown_code,
    }


def validate(df: DataFrame, source: Source) -> DataFrame:
    """Cast money and dates, and add `reasons`, which is empty for a valid row.

    Every row is kept. The reasons are in the order of `RejectReason`. An unreadable row has no
    other reason than that.

    >>> from sources.handbook import HANDBOOK
    >>> from sources.rules import MAPPED_COLUMNS
    >>> row = spark.sql("SELECT -5D amount, 'EUR' currency, now() ingested_at, true is_readable")
    >>> missing = {name: F.lit(None).cast("string") for name in MAPPED_COLUMNS}
    >>> missing = {name: null for name, null in missing.items() if name not in row.columns}
    >>> validate(row.withColumns(missing), HANDBOOK).first().reasons[:4]
    ['missing_event_id', 'missing_customer', 'unreadable_time', 'negative_amount']
    """
    triggered = [
        F.when(condition, F.lit(str(reason))) for reason, condition in refusals(source).items()
    ]
    # Not array_compact, with which Spark interprets each condition instead of compiling it.
    codes = F.concat_ws(",", *triggered)
    codes = F.when(F.col("is_readable"), codes).otherwise(str(RejectReason.UNREADABLE_ROW))
    none = F.array().cast("array<string>")
    unreadable = is_unreadable_amount(F.col("amount"), source.absurd_amount)
    return df.withColumns(
        {
            "reasons": F.when(codes == "", none).otherwise(F.split(codes, ",")),
            "amount": F.when(~unreadable, money(F.col("amount"))),
            **{name: money(F.col(name)) for name in _BALANCES},
            "event_date": F.to_date("event_at"),
        }
    ).drop("is_readable")
