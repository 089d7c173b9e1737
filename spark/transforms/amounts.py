"""Exact amounts: what a text, a decimal or a double says, and why it says none."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from contracts.reasons import RejectReason
from contracts.values import MONEY_DECIMALS, MONEY_WHOLE_DIGITS, NUMBER
from sources.currencies import UNDIVIDED

_MONEY: Final = f"decimal({MONEY_WHOLE_DIGITS + MONEY_DECIMALS},{MONEY_DECIMALS})"
_PARTS: Final = r"\A[+-]?([0-9]+)(?:\.([0-9]+))?(?:[eE](-?[0-9]+))?\z"


def of_text(written: Column) -> tuple[Column, Column]:
    """Return a canonical text as an amount, and the reason why it is none.

    It never goes through a double, and nothing is rounded.

    >>> rows = spark.createDataFrame([("135000000.02",), ("1e-3",), ("8,5",)], "v string")
    >>> [row[:] for row in rows.select(*of_text(rows.v)).collect()]
    [(Decimal('135000000.02'), None), (None, 'excess_decimals'), (None, 'unreadable_amount')]
    """
    is_number = F.coalesce(written.rlike(rf"\A({NUMBER})\z"), F.lit(False))
    whole, fraction, exponent = (F.regexp_extract(written, _PARTS, group) for group in (1, 2, 3))
    significant = F.rtrim(F.concat(whole, fraction), F.lit("0"))
    power = F.coalesce(exponent.try_cast("int"), F.lit(0))
    decimals = F.length(significant) - F.length(whole) - power
    is_finer = (F.ltrim(significant, F.lit("0")) != "") & (decimals > MONEY_DECIMALS)
    amount = F.when(is_number & ~is_finer, written).try_cast(_MONEY)
    return amount, _reason(is_number, is_finer, amount)


def of_double(value: Column) -> tuple[Column, Column]:
    """Return a double as an amount, and the reason why it is none.

    It is a whole number of cents if it is the nearest double to one, or a neighbour of it.

    >>> rows = spark.createDataFrame([(84.37,), (135000000.02,), (0.005,), (None,)], "v double")
    >>> [row[0] for row in rows.select(of_double(rows.v)[0]).collect()]
    [Decimal('84.37'), Decimal('135000000.02'), None, None]
    """
    is_number = F.coalesce(F.abs(value) < float("inf"), F.lit(False))
    cents = value * 10**MONEY_DECIMALS
    error = F.greatest(F.lit(1e-6), F.abs(cents) * 2.0**-51)
    # Not round, which converts a double to a decimal.
    is_finer = F.abs(cents - F.rint(cents)) > error
    amount = F.when(is_number & ~is_finer, value).try_cast(_MONEY)
    return amount, _reason(is_number, is_finer, amount)


def _reason(is_number: Column, is_finer: Column, amount: Column) -> Column:
    return (
        F.when(~is_number, str(RejectReason.UNREADABLE_AMOUNT))
        .when(is_finer, str(RejectReason.EXCESS_DECIMALS))
        .when(amount.isNull(), str(RejectReason.ABSURD_AMOUNT))
    )


def in_currency(amount: Column, reason: Column, currency: Column) -> tuple[Column, Column]:
    """Return an amount and its reason, refusing decimals that its currency has not.

    >>> row = spark.sql("SELECT 500.50BD amount, string(NULL) reason, 'JPY' currency")
    >>> row.select(*in_currency(row.amount, row.reason, row.currency)).first()[:]
    (None, 'excess_decimals')
    """
    is_divided = currency.isin(*UNDIVIDED) & (amount % 1 != 0)
    is_refused = F.coalesce(is_divided, F.lit(False))
    excess = str(RejectReason.EXCESS_DECIMALS)
    return F.when(~is_refused, amount), F.when(is_refused, excess).otherwise(reason)
