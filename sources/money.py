"""Exact amounts from a column of a file, by the rules of Processed (`spark.transforms.amounts`)."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from contracts.columns import LogicalType
from contracts.render.to_arrow import arrow_type, from_units, whole_and_fraction
from contracts.values import MONEY_DECIMALS, MONEY_UNITS, MONEY_WHOLE_DIGITS, NUMBER, canonical
from sources.currencies import USUAL_DIGITS
from sources.number_format import NumberFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Digits = NDArray[np.int64] | int

_TOO_LARGE: Final = 10.0**MONEY_WHOLE_DIGITS
_EXACT: Final = 1e11
"""Up to this amount, a double has exact minor units; the few larger ones take the slow path."""
_PLAIN: Final = rf"^[+-]?[0-9]{{1,{MONEY_WHOLE_DIGITS}}}(\.[0-9]{{1,{MONEY_DECIMALS}}}0*)?$"
"""The usual form of an amount, which Arrow casts to a decimal without loss."""


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


def in_units(values: Any, numbers: NumberFormat, digits: "NDArray[np.int64]") -> Any:
    """Return an Arrow column of amounts of a source in the form that `read_amounts` reads.

    `digits` are the decimals of each row's currency, by which minor units are divided.
    """
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    if not numbers.is_plain and any(is_kind(values.type) for is_kind in texts):
        written = as_text(values).to_pylist()
        values = pa.chunked_array([pa.array(map(numbers.plain, written), pa.string())])
    if not numbers.minor_units:
        return values
    if types.is_floating(values.type):
        return pa.chunked_array([values.to_numpy() / 10.0**digits])
    written = as_text(values).to_pylist()
    scaled = [_shifted(text, n) for text, n in zip(written, digits.tolist(), strict=True)]
    return pa.chunked_array([pa.array(scaled, pa.string())])


def _shifted(text: str | None, digits: int) -> str | None:
    return None if text is None else f"{canonical(text)}e-{digits}"


def read_amounts(values: Any, digits: "Digits" = USUAL_DIGITS) -> Any:
    """Return the amounts of an Arrow column as an array of decimals, 0 for one that is refused.

    `digits` are the decimals that an amount may have, of all rows or of each. A text or a decimal
    is read exactly. A double is a whole number of minor units if it is the nearest double to one,
    or a neighbour of it.
    """
    from pyarrow import types

    if types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if types.is_floating(values.type):
        return _of_doubles(values, digits)
    return _of_texts(values, digits)


def _of_doubles(values: Any, digits: "Digits") -> Any:
    import pyarrow as pa
    from pyarrow import compute

    doubles = np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    digits = np.broadcast_to(np.asarray(digits), len(doubles))
    # Comparisons with NaN are false, so NaN is in neither part.
    scaled = np.where(np.abs(doubles) < _TOO_LARGE, doubles, np.nan) * 10.0**digits
    nearest = np.rint(scaled)
    is_whole = np.abs(scaled - nearest) <= np.maximum(1e-6, np.abs(scaled) * 2.0**-51)
    is_small = np.abs(doubles) <= _EXACT
    units = np.where(is_whole & is_small, nearest, 0.0) * 10.0 ** (MONEY_DECIMALS - digits)
    amounts = from_units(pa.array(units.astype(np.int64)))
    is_large = is_whole & ~is_small
    large = [
        Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding="ROUND_HALF_UP")
        for value, places in zip(doubles[is_large].tolist(), digits[is_large].tolist(), strict=True)
    ]
    return compute.replace_with_mask(amounts, pa.array(is_large), pa.array(large, amounts.type))


def _of_texts(values: Any, digits: "Digits") -> Any:
    import pyarrow as pa
    from pyarrow import compute

    money = arrow_type(LogicalType.MONEY)
    written = compute.utf8_trim(as_text(values), " ").combine_chunks()
    is_plain = compute.fill_null(compute.match_substring_regex(written, _PLAIN), False)
    short = compute.replace_substring_regex(written, rf"(\.[0-9]{{{MONEY_DECIMALS}}})0+$", r"\1")
    amounts = compute.if_else(is_plain, short, "0").cast(money)
    others = [
        Decimal(0) if text is None else _exact(canonical(text))
        for text in written.filter(compute.invert(is_plain)).to_pylist()
    ]
    amounts = compute.replace_with_mask(amounts, compute.invert(is_plain), pa.array(others, money))
    _, fraction = whole_and_fraction(amounts)
    is_finer = fraction % (MONEY_UNITS // 10 ** np.asarray(digits)) != 0
    return compute.if_else(pa.array(is_finer), pa.scalar(Decimal(0), money), amounts)


def _exact(text: str) -> Decimal:
    """Return a number as an amount; 0 for what is no number, too large, or finer than stored."""
    if not re.fullmatch(NUMBER, text):
        return Decimal(0)
    sign, digits, exponent = Decimal(text).as_tuple()
    written = "".join(map(str, digits))
    significant = written.rstrip("0")
    decimals = -int(exponent) - (len(written) - len(significant))
    whole_digits = len(significant) - decimals
    if not significant or decimals > MONEY_DECIMALS or whole_digits > MONEY_WHOLE_DIGITS:
        return Decimal(0)
    return Decimal((sign, tuple(map(int, significant)), -decimals))
