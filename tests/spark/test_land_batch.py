"""The objects of a batch of the stream, and when they arrived."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.values import CLOCK_TOLERANCE

_DAY = date(2026, 1, 1)
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_payments_of_the_future_are_refused_whenever_they_land() -> None:
    """Their time has passed when the newest message of the batch arrives."""
    from spark.jobs.land_stream import objects_of

    def row(offset: int, ahead: timedelta) -> dict[str, Any]:
        arrived = _NOON + timedelta(minutes=offset)
        is_future = ahead > CLOCK_TOLERANCE
        place = {"day": _DAY, "partition": 3, "offset": offset, "is_future": is_future}
        return {**place, "arrived": arrived, "event_at": arrived + ahead}

    ahead = [timedelta(minutes=minutes) for minutes in (0, 6, 5, -90, 7, 0)]
    sent = [row(offset, by) for offset, by in enumerate(ahead)]
    sent.sort(key=lambda message: (message["is_future"], message["offset"]))

    valid, future = objects_of(sent)

    assert [place for place, _, _ in (valid, future)] == [(_DAY, 3), (_DAY, 3)]
    assert [message["offset"] for message in valid[1]] == [0, 2, 3, 5]
    assert [message["offset"] for message in future[1]] == [1, 4]
    for (_, messages, arrived), is_refused in ((valid, False), (future, True)):
        for message in messages:
            assert (message["event_at"] > arrived + CLOCK_TOLERANCE) == is_refused
