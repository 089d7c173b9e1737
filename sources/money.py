"""Exact amounts from a column of a file, by the rules of Processed (`spark.transforms.amounts`)."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contracts.values import MONEY_DECIMALS, MONEY_WHOLE_DIGITS, NUMBER, canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNIT: Final = 10**MONEY_DECIMALS
_TOO_LARGE: Final = 10.0**MONEY_WHOLE_DIGITS
_EXACT: Final = 1e11
"""Up to this amount, a double times 100 has exact cents; the few larger ones take the slow path."""
_HALF: Final = 1_000_000
_PLAIN: Final = rf"^[+-]?[0-9]{{1,{MONEY_WHOLE_DIGITS}}}(\.[0-9]{{1,{MONEY_DECIMALS}}}0*)?$"
"""The usual form of an amount, which Arrow casts to a decimal without loss."""


def total(cents: "NDArray[np.int64]") -> Decimal:
    """Sum cents to an amount, in two halves, so that no sum of 64 bits overflows."""
    high, low = np.divmod(cents, _HALF)
    return Decimal(int(high.sum()) * _HALF + int(low.sum())).scaleb(-MONEY_DECIMALS)


def as_text(values: Any) -> Any:
    """Return an Arrow column as text; bytes that are not UTF-8 become a replacement character.

    A writer of Parquet may call any bytes a text.
    """
    import pyarrow as pa

    texts = values.cast(pa.string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        written = texts.cast(pa.binary()).to_pylist()
        return pa.chunked_array(
            [[None if one is None else one.decode(errors="replace") for one in written]]
        )
    return texts


def read_cents(
    values: Any, is_undivided: "NDArray[np.bool_] | bool" = False
) -> "NDArray[np.int64]":
    """Return each value of an Arrow column in cents, 0 for one that is refused.

    `is_undivided` says whose currency has no minor unit. A text or a decimal is read exactly. A
    double is a whole number of cents if it is the nearest double to one, or a neighbour of it.
    """
    from pyarrow import types

    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    cents = _of_doubles(values) if types.is_floating(values.type) else _of_texts(values)
    return np.where((cents % _UNIT != 0) & is_undivided, 0, cents)


def _of_doubles(values: Any) -> "NDArray[np.int64]":
    import pyarrow as pa

    amounts = np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    # Comparisons with NaN are false, so NaN is in neither part.
    scaled = np.where(np.abs(amounts) < _TOO_LARGE, amounts, np.nan) * _UNIT
    nearest = np.rint(scaled)
    is_whole = np.abs(scaled - nearest) <= np.maximum(1e-6, np.abs(scaled) * 2.0**-51)
    is_small = np.abs(amounts) <= _EXACT
    cents = np.where(is_whole & is_small, nearest, 0.0).astype(np.int64)
    for place in np.flatnonzero(is_whole & ~is_small):
        large = Decimal(repr(float(amounts[place])))
        cents[place] = int(large.quantize(Decimal("0.01"), rounding="ROUND_HALF_UP") * _UNIT)
    return cents


def _of_texts(values: Any) -> "NDArray[np.int64]":
    import pyarrow as pa
    from pyarrow import compute

    written = compute.utf8_trim(as_text(values), " ")
    matches = compute.fill_null(compute.match_substring_regex(written, _PLAIN), False)
    is_plain = np.asarray(matches.to_numpy(zero_copy_only=False), dtype=bool)
    cents = np.zeros(len(values), dtype=np.int64)
    short = compute.replace_substring_regex(
        written.filter(matches), rf"(\.[0-9]{{{MONEY_DECIMALS}}})0+$", r"\1"
    )
    decimals = short.cast(pa.decimal128(MONEY_WHOLE_DIGITS + MONEY_DECIMALS, MONEY_DECIMALS))
    whole = compute.multiply(decimals, pa.scalar(Decimal(_UNIT))).cast(pa.int64())
    cents[is_plain] = np.asarray(whole.to_numpy(), dtype=np.int64)
    others = written.filter(compute.invert(matches)).to_pylist()
    for place, text in zip(np.flatnonzero(~is_plain), others, strict=True):
        if text is not None:
            cents[place] = _exact_cents(canonical(text))
    return cents


def _exact_cents(text: str) -> int:
    """Return a number in cents; 0 for what is no number, is too large, or finer than a cent."""
    if not re.fullmatch(NUMBER, text):
        return 0
    sign, digits, exponent = Decimal(text).as_tuple()
    written = "".join(map(str, digits))
    significant = written.rstrip("0")
    decimals = -int(exponent) - (len(written) - len(significant))
    whole_digits = len(significant) - decimals
    if not significant or decimals > MONEY_DECIMALS or whole_digits > MONEY_WHOLE_DIGITS:
        return 0
    cents: int = int(significant) * 10 ** (MONEY_DECIMALS - decimals)
    return -cents if sign else cents
