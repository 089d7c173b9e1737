"""The rules that a message breaks: those of the batch line, in the same order and words."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.values import CLOCK_TOLERANCE, CONTROL
from sources.checks import (
    CODED,
    NUMBERED,
    PLACES,
    ROUNDED,
    allowed_codes,
    longest_texts,
    overlong,
    place_range,
    plausible,
)
from sources.currencies import ISO_4217
from sources.declaration import Source
from streaming.mapped import Mapped

_CONTROL: Final = re.compile(CONTROL)
_ROUNDED: Final = re.compile(ROUNDED)
_ORDER: Final = {reason: number for number, reason in enumerate(RejectReason)}


class Refusal(NamedTuple):
    """A reason to refuse a message, its rule, and the first column or feature that breaks it."""

    reason: RejectReason
    rule: str
    column: str | None


class RowChecks:
    """The checks of the messages of one source."""

    def __init__(self, source: Source) -> None:
        """Read the limits of a source from its declaration and from the contracts."""
        self._source = source
        self.first_instant, self.end = _plausible_instants(source)
        self._codes = allowed_codes(source)
        self._longest = longest_texts(source)

    def refusals(self, row: Mapped, arrived: datetime) -> list[Refusal]:
        """Return the reasons to refuse a row, most important first; none for a valid one.

        `arrived` is the instant at which the message arrived.
        """
        found: dict[RejectReason, list[tuple[str | None, str]]] = {}
        for reason, column, about in self._broken(row, arrived):
            found.setdefault(reason, []).append((column, about))
        return [
            Refusal(
                reason,
                ": ".join(filter(None, (DESCRIPTIONS[reason], ", ".join(a for _, a in places)))),
                places[0][0],
            )
            for reason, places in sorted(found.items(), key=lambda item: _ORDER[item[0]])
        ]

    def _broken(
        self, row: Mapped, arrived: datetime
    ) -> Iterator[tuple[RejectReason, str | None, str]]:
        """Yield each broken rule, its column, and the column or limit that the rule names."""
        texts = {**row.texts, "source_flags": row.flags}
        if row.texts["event_id"] is None:
            yield RejectReason.MISSING_EVENT_ID, "event_id", ""
        if row.texts["customer_id"] is None:
            yield RejectReason.MISSING_CUSTOMER, "customer_id", ""
        for name in NUMBERED:
            if _ROUNDED.search(row.texts.get(name) or ""):
                yield RejectReason.DAMAGED_IDENTIFIER, name, name
        for name, longest in self._longest.items():
            text = texts.get(name) or ""
            if _CONTROL.search(text):
                yield RejectReason.UNPRINTABLE_TEXT, name, name
            if len(text) > longest:
                yield RejectReason.OVERLONG_TEXT, name, overlong(name, longest)
        yield from self._broken_time(row.event_at, arrived)
        yield from self._broken_amount(row)
        if row.texts["currency"] not in ISO_4217:
            yield RejectReason.UNKNOWN_CURRENCY, "currency", ""
        for name in PLACES:
            least, greatest = place_range(name)
            place = row.places.get(name)
            if place is not None and not (least <= place <= greatest):
                yield RejectReason.IMPOSSIBLE_PLACE, name, name
        for name, allowed in self._codes.items():
            code = row.texts.get(name)
            if name in CODED if code is None else code not in allowed:
                yield RejectReason.UNKNOWN_CODE, name, name
        for name in row.unreadable_features:
            yield RejectReason.UNREADABLE_FEATURE, name, name

    def _broken_time(
        self, at: datetime | None, arrived: datetime
    ) -> Iterator[tuple[RejectReason, str, str]]:
        if at is None:
            yield RejectReason.UNREADABLE_TIME, "event_at", ""
            return
        if not (self.first_instant <= at < self.end):
            yield RejectReason.IMPLAUSIBLE_TIME, "event_at", plausible(self._source)
        if at - arrived > CLOCK_TOLERANCE:
            yield RejectReason.FUTURE_TIME, "event_at", ""

    def _broken_amount(self, row: Mapped) -> Iterator[tuple[RejectReason, str, str]]:
        limit = self._source.absurd_amount
        reason = row.amount_flaw
        if row.amount is not None and row.amount < 0:
            yield RejectReason.NEGATIVE_AMOUNT, "amount", ""
        if row.amount is not None and row.amount.copy_abs() > limit:
            reason = RejectReason.ABSURD_AMOUNT
        if reason is not None:
            yield reason, "amount", str(limit) if reason is RejectReason.ABSURD_AMOUNT else ""


def _plausible_instants(source: Source) -> tuple[datetime, datetime]:
    """Return the first instant of the plausible dates of a source, and the first one after them."""
    first, last = source.plausible_dates
    zone = ZoneInfo(source.zone)
    return (
        datetime.combine(first, time(), zone).astimezone(UTC),
        datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC),
    )
