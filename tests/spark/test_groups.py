"""Windows by position, against counting one by one."""

import numpy as np
import pytest

from spark.transforms.features import groups
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
