"""Judge mapped rows: type what can be typed, and name each reason to refuse a row."""

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
"""How a spreadsheet writes a long number, of which it keeps fifteen digits or fewer."""
_PLACES = ("transaction_lat", "transaction_lon", "home_lat", "home_lon")
_BALANCES = tuple(
    f"{party}_balance_{moment}" for party in ("payer", "payee") for moment in ("before", "after")
)


def is_whole_cents(amount: Column) -> Column:
    """Tell whether a double is a number of cents, but for the noise of its binary form.

    >>> frame = spark.createDataFrame([(84.37,), (0.005,)], "amount double")
    >>> [row[0] for row in frame.select(is_whole_cents(F.col("amount"))).collect()]
    [True, False]
    """
    # Not round: it takes a double apart into a decimal number.
    return F.abs(amount * 100 - F.rint(amount * 100)) < 1e-6


def is_unreadable_amount(amount: Column, absurd: Decimal) -> Column:
    """Tell whether an amount is missing, no number, or finer than a cent.

    Above `absurd` a double is too coarse to show cents, and the row is refused for that.
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
    """Tell whether a coordinate lies outside its declared range; a missing one does not."""
    declared = COLUMNS[name]
    inside = place.between(F.lit(float(declared.minimum)), F.lit(float(declared.maximum)))  # type: ignore[arg-type]
    return F.coalesce(~inside, F.lit(False))


def refusals(source: Source) -> dict[RejectReason, Column]:
    """Return, for each reason, the condition of a mapped row that it refuses."""
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
    # 4.78E+18 stands for a thousand cards: nobody knows any more which of them paid.
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
    """Type money and dates and add `reasons`, empty for a row that may pass.

    Keeps every row. The reasons stand in the order of `RejectReason`; of a row that is not readable
    nothing else is said.
    """
    judged = [
        F.when(condition, F.lit(str(reason))) for reason, condition in refusals(source).items()
    ]
    # Not array_compact: it would have Spark interpret each condition instead of compiling it.
    said = F.concat_ws(",", *judged)
    said = F.when(F.col("is_readable"), said).otherwise(str(RejectReason.UNREADABLE_ROW))
    none = F.array().cast("array<string>")
    unreadable = is_unreadable_amount(F.col("amount"), source.absurd_amount)
    return df.withColumns(
        {
            "reasons": F.when(said == "", none).otherwise(F.split(said, ",")),
            "amount": F.when(~unreadable, money(F.col("amount"))),
            **{name: money(F.col(name)) for name in _BALANCES},
            "event_date": F.to_date("event_at"),
        }
    ).drop("is_readable")
