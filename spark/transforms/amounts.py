"""Exact amounts: what a text, a decimal or a double says, and why it says none."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from contracts.columns import LogicalType
from contracts.reasons import RejectReason
from contracts.values import MONEY_WHOLE_DIGITS, NUMBER
from sources.currencies import UNUSUAL_DIGITS, USUAL_DIGITS
from sources.number_format import NumberFormat

_MONEY: Final = str(LogicalType.MONEY)
_PARTS: Final = r"\A[+-]?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?\z"


def decimals_in(currency: Column) -> Column:
    """Return the decimals of an amount in a currency: the digits of its minor unit.

    >>> spark.range(1).select(decimals_in(F.lit("KWD")), decimals_in(F.lit(None))).first()[:]
    (3, 2)
    """
    digits = F.lit(USUAL_DIGITS)
    for count, codes in UNUSUAL_DIGITS.items():
        digits = F.when(currency.isin(*sorted(codes)), count).otherwise(digits)
    return digits


def of_text(written: Column, most: Column) -> tuple[Column, Column]:
    """Return a canonical text as an amount with `most` decimals, and the reason why it is none.

    It never goes through a double, and nothing is rounded.

    >>> rows = spark.createDataFrame([("135000000.02",), ("1e-3",), ("8,5",)], "v string")
    >>> [row[:] for row in rows.select(*of_text(rows.v, F.lit(2))).collect()]
    [(Decimal('135000000.0200'), None), (None, 'excess_decimals'), (None, 'unreadable_amount')]
    """
    is_number = F.coalesce(written.rlike(rf"\A({NUMBER})\z"), F.lit(False))
    whole, fraction, exponent = (F.regexp_extract(written, _PARTS, group) for group in (1, 2, 3))
    significant = F.rtrim(F.concat(whole, fraction), F.lit("0"))
    power = F.coalesce(exponent.try_cast("int"), F.lit(0))
    decimals = F.length(significant) - F.length(whole) - power
    is_finer = (F.ltrim(significant, F.lit("0")) != "") & (decimals > most)
    amount = F.when(is_number & ~is_finer, written).try_cast(_MONEY)
    return amount, _reason(is_number, is_finer, amount)


def plain(written: Column, numbers: NumberFormat) -> Column:
    """Return a canonical text with a decimal point and no groups; null when it is no such number.

    >>> german = NumberFormat(",", ".")
    >>> rows = spark.createDataFrame([("-1.234,56",), ("12.50",), ("1234,5",)], "v string")
    >>> [row[0] for row in rows.select(plain(rows.v, german)).collect()]
    ['-1234.56', None, '1234.5']
    """
    digits = written
    if numbers.thousands_sign:
        digits = F.replace(digits, F.lit(numbers.thousands_sign), F.lit(""))
    digits = F.replace(digits, F.lit(numbers.decimal_sign), F.lit("."))
    return F.when(written.rlike(rf"\A{numbers.expression}\z"), digits)


def of_double(value: Column, most: Column) -> tuple[Column, Column]:
    """Return a double as an amount with `most` decimals, and the reason why it is none.

    It is a whole number of minor units if it is the nearest double to one, or a neighbour of it.

    >>> rows = spark.createDataFrame([(84.37,), (135000000.02,), (0.005,), (None,)], "v double")
    >>> [row[0] for row in rows.select(of_double(rows.v, F.lit(2))[0]).collect()]
    [Decimal('84.3700'), Decimal('135000000.0200'), None, None]
    """
    is_number = F.coalesce(F.abs(value) < float("inf"), F.lit(False))
    units = value * F.pow(F.lit(10.0), most)
    error = F.greatest(F.lit(1e-6), F.abs(units) * 2.0**-51)
    # Not round, which converts a double to a decimal.
    is_finer = F.abs(units - F.rint(units)) > error
    # The cast rounds a neighbour to its minor unit. A type has fixed decimals.
    rounded = [
        F.when(most == digits, value.try_cast(f"decimal({MONEY_WHOLE_DIGITS + digits},{digits})"))
        for digits in sorted({USUAL_DIGITS, *UNUSUAL_DIGITS})
    ]
    amount = F.when(is_number & ~is_finer, F.coalesce(*rounded).cast(_MONEY))
    return amount, _reason(is_number, is_finer, amount)


def _reason(is_number: Column, is_finer: Column, amount: Column) -> Column:
    return (
        F.when(~is_number, str(RejectReason.UNREADABLE_AMOUNT))
        .when(is_finer, str(RejectReason.EXCESS_DECIMALS))
        .when(amount.isNull(), str(RejectReason.ABSURD_AMOUNT))
    )
