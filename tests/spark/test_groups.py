"""Windows by position, against counting one by one."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from contracts.columns import LogicalType
from contracts.render.to_arrow import arrow_type
from spark.transforms.features import groups
from spark.transforms.features.customer import customer_windows, window_starts
from spark.transforms.features.groups import DAY, Groups, until

ROWS = 300


def made(seed: int) -> tuple[groups.Ints, groups.Ints]:
    random = np.random.default_rng(seed)
    return random.integers(-1, 7, ROWS), np.sort(random.integers(0, 60 * DAY, ROWS))


@pytest.mark.parametrize("largest", [1 << 62, 90 * DAY], ids=["one integer", "some at a time"])
@pytest.mark.parametrize("days", [1, 30])
def test_rows_before_a_window_are_those_counted(
    monkeypatch: pytest.MonkeyPatch, largest: int, days: int
) -> None:
    monkeypatch.setattr(groups, "_LARGEST", largest)
    codes, micros = made(days)

    found = Groups.of(codes, micros)
    inside = found.through() - found.before(days * DAY)

    for place, row in enumerate(found.order):
        is_own = (codes == codes[row]) & (micros > micros[row] - days * DAY)
        assert inside[place] == is_own[: row + 1].sum()
    assert len(found.order) == (codes >= 0).sum()


def test_nothing_among_nothing_is_none() -> None:
    none = np.zeros(0, dtype=np.int64)

    assert Groups.of(none, none).before(DAY).tolist() == []
    assert until(none, none, np.array([0]), np.array([5])).tolist() == [0]


def test_groups_within_groups_keep_the_order_of_time() -> None:
    codes, micros = made(5)
    things = np.random.default_rng(6).integers(-1, 3, ROWS)

    pairs = Groups.of(codes, micros).within(things)
    last, has_last = pairs.earlier()

    for place, row in enumerate(pairs.order):
        same = np.flatnonzero((codes == codes[row]) & (things == things[row]))
        earlier = same[same < row]
        assert has_last[place] == bool(len(earlier))
        assert not len(earlier) or last[place] == micros[earlier[-1]]


def test_sums_of_the_largest_amounts_are_exact() -> None:
    payments = [Decimal("4999999999999999.9998"), Decimal("4999999999999999.9999")]
    money = pa.table({"amount": pa.array(payments, arrow_type(LogicalType.MONEY))})
    days = Groups.of(np.array([0, 0]), np.array([0, DAY // 2]))

    found = customer_windows(days, groups.money_of(money, "amount"), window_starts(days))

    assert found["customer_amount_sum_24h"].to_pylist() == [payments[0], sum(payments)]
    assert found["customer_amount_mean_7d"].to_pylist() == pytest.approx([5e15, 5e15])


def test_a_sum_with_more_digits_than_are_stored_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid, match="Decimal value does not fit"):
        groups.amounts_of(pa.array([10**16]), pa.array([0]))
