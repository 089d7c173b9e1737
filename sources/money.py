"""Exact amounts from a column of a file, by the rules of Processed."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sources.declaration import NUMBER

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOO_LARGE: Final = 1e16
"""Smallest amount that does not fit decimal(18,2)."""
_EXACT: Final = 1e11
"""Up to this amount, a double times 100 has exact cents; the few larger ones take the slow path."""
_HALF: Final = 1_000_000


def total(cents: "NDArray[np.int64]") -> Decimal:
    """Sum cents to an amount, in two halves, so that no sum of 64 bits overflows."""
    high, low = np.divmod(cents, _HALF)
    return Decimal(int(high.sum()) * _HALF + int(low.sum())).scaleb(-2)


def read_cents(values: Any, absurd: Decimal) -> "NDArray[np.int64]":
    """Return each value of an Arrow column in cents, 0 for an unreadable value.

    A value is readable if it is a number in whole cents. Above `absurd`, doubles cannot represent
    cents: such values are rounded half up if they fit decimal(18,2).
    """
    amounts = _numbers(values)
    # Comparisons with NaN are false, so NaN is in neither part.
    limit = min(float(absurd), _EXACT)
    is_small = np.abs(amounts) <= limit
    small = np.where(is_small, amounts, 0.0)
    nearest = np.rint(small * 100)
    cents = np.where(np.abs(small * 100 - nearest) < 1e-6, nearest, 0.0).astype(np.int64)
    for place in np.flatnonzero((np.abs(amounts) > limit) & (np.abs(amounts) < _TOO_LARGE)):
        cents[place] = _exact_cents(float(amounts[place]), absurd)
    return cents


def _exact_cents(amount: float, absurd: Decimal) -> int:
    """Return a large amount in cents, from its decimal form."""
    nearest = Decimal(repr(amount)).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP") * 100
    is_whole = abs(amount * 100 - float(nearest)) < 1e-6
    return int(nearest) if is_whole or abs(amount) > absurd else 0


def _numbers(values: Any) -> "NDArray[np.float64]":
    """Return an Arrow column as doubles, NaN for text that is not a number."""
    import pyarrow as pa
    from pyarrow import compute, types

    if types.is_floating(values.type) or types.is_integer(values.type):
        return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if not (types.is_string(values.type) or types.is_large_string(values.type)):
        values = pa.array([None if one is None else str(one) for one in values.to_pylist()])
    written = compute.utf8_trim(values.cast(pa.string()), " ")
    is_number = compute.fill_null(compute.match_substring_regex(written, f"^({NUMBER})$"), False)
    numbers = np.full(len(values), np.nan)
    is_valid = np.asarray(is_number.to_numpy(zero_copy_only=False), dtype=bool)
    numbers[is_valid] = np.asarray(written.filter(is_number).to_pylist(), dtype=np.str_).astype(
        float
    )
    return numbers
