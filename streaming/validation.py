"""Validation of one message of the stream, by the rules of the batch line.

A message in its usual form is accepted while msgspec decodes it. Each other one is read by the code
that reads the lines of a file (`sources/text.py`), mapped (`streaming/mapped.py`) and checked
(`streaming/row_checks.py`). So the first way is faster, and the second one decides and explains;
what the first accepts, the second accepts too.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import msgspec

from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.values import CLOCK_TOLERANCE, LONGEST, ValueClass
from sources.currencies import ISO_4217
from sources.declaration import Source
from sources.rules import Instant, columns_of
from streaming.mapped import Mapped, check_mapping, fields_of, mapped
from streaming.masking import Masking, escaped
from streaming.messages import Reject, usual_payment
from streaming.row_checks import Refusal, RowChecks

_LIST, _LINE_BREAK, _ESCAPE, _PLUS, _DELETE = map(ord, "[\n\\+\x7f")
_encode: Final = msgspec.json.Encoder().encode


class Valid(msgspec.Struct, frozen=True, gc=False):
    """A valid message: the bytes to produce, the payer, who decides the partition, and the time."""

    message: bytes
    key: bytes
    time: bytes


class Rejected(msgspec.Struct, frozen=True):
    """A refused message: the bytes to produce, which have no personal data, and what they say."""

    message: bytes
    reject: Reject


class Validator:
    """Decides on the messages of one source."""

    def __init__(self, source: Source) -> None:
        """Read the layout, the mapping and the limits of a source.

        Raises:
            UnreadableMappingError: when the stream cannot read the source.
        """
        self._source = source
        self._version = check_mapping(source)
        self._checks = RowChecks(source)
        self._first, self._end = self._checks.first_instant, self._checks.end
        self._masking = Masking(self._version)
        self._usual = usual_payment(source)
        if self._usual:
            self._decode = msgspec.json.Decoder(self._usual.type).decode
            self._checked = attrgetter(*self._usual.checked)
            self._texts = attrgetter(*self._usual.texts)
            self._joined = "%s" * len(self._usual.texts)
        self._amounts = {code: _usual_amount(source, code) for code in ISO_4217}

    def validate(self, message: bytes, arrived: datetime) -> Valid | Rejected:
        """Return whether a message is valid. Never raises, whatever the message is.

        A valid message is passed on as its source wrote it, so that Raw has what arrived and the
        batch line reads the same bytes; only line breaks between its fields become blanks, since a
        landed object has a message a line. `arrived` is the instant at which the message arrived.
        """
        usual = self._valid_as_usual(message, arrived) if self._usual else None
        return usual or self._checked_closely(message, arrived)

    def _valid_as_usual(self, message: bytes, arrived: datetime) -> Valid | None:
        """Return a valid message in its usual form, None for any other message."""
        # Inner objects and lists have a limit of depth, and fields with names of their own.
        if message.find(b"{", 1) >= 0 or _LIST in message or _LINE_BREAK in message:
            return None
        try:
            payment = self._decode(message)
            event_id, customer, time, amount, currency = self._checked(payment)
            at = datetime.fromisoformat(time)
            is_ascii = message.isascii() or not message.decode()
        except (ValueError, msgspec.DecodeError):
            return None
        if not (
            self._first <= at < self._end
            and at - arrived <= CLOCK_TOLERANCE
            and self._amounts[currency](amount)
            and not event_id.isspace()
        ):
            return None
        if not is_ascii or _ESCAPE in message or _DELETE in message or _PLUS in message:
            texts = self._joined % self._texts(payment)
            # A plus sign shows an identifier that a spreadsheet rounded.
            if not texts.isascii() or not texts.isprintable() or "+" in texts:
                return None
        key: bytes = customer.strip().encode()
        return Valid(message, key, time.encode()) if key else None

    def _checked_closely(self, message: bytes, arrived: datetime) -> Valid | Rejected:
        values, is_readable = fields_of(message, self._version)
        row = mapped(values, self._source, self._version)
        if is_readable:
            refusals = self._checks.refusals(row, arrived)
        else:
            reason = RejectReason.UNREADABLE_ROW
            refusals = [Refusal(reason, DESCRIPTIONS[reason], None)]
        if refusals:
            return self._rejected(message, refusals, values, row, arrived)
        # No text has a line break: JSON writes it as an escape.
        return Valid(
            message.replace(b"\n", b" "),
            str(row.texts["customer_id"]).encode(),
            str(row.event_at).encode(),
        )

    def _rejected(
        self,
        message: bytes,
        refusals: list[Refusal],
        values: Mapping[str, str | None],
        row: Mapped,
        arrived: datetime,
    ) -> Rejected:
        at, first = row.event_at, refusals[0]
        is_plausible = at is not None and self._first <= at < self._end
        field = None if first.column is None else self._field(first.column)
        reject = Reject(
            source_system=self._source.name,
            reasons=[refusal.reason for refusal in refusals],
            rules=[refusal.rule for refusal in refusals],
            field=field,
            sentence=f"{f'{field}: ' if field else ''}{first.rule}."
            f" Correct it in {self._source.name} and send the payment again.",
            event_id=escaped(row.texts["event_id"], LONGEST[ValueClass.IDENTIFIER]),
            event_at=at if is_plausible else None,
            arrived_at=arrived,
            original_bytes=len(message),
            payload=self._masking.payload(values, row.texts["counterparty_type"]),
        )
        return Rejected(_encode(reject), reject)

    def _field(self, column: str) -> str:
        """Return the first field of a message that fills a mapped column or a source feature."""
        if column in self._version.features:
            return self._version.features[column]
        rule = self._version.mapping[column]
        names = rule.columns if isinstance(rule, Instant) else sorted(columns_of(rule))
        return names[0] if names else column


def _usual_amount(source: Source, currency: str) -> Callable[[Any], object]:
    """Return what matches an amount of a currency that is written as usual: `12.50`, `1000`.

    It has no sign, no exponent, the decimals of its currency at most, and a digit less than the
    limit of the source.
    """
    whole_digits = len(str(int(source.absurd_amount))) - 1
    decimals = source.decimals_in(currency)
    fraction = rb"(?:\.[0-9]{1,%d})?" % decimals if decimals else b""
    return re.compile(rb"(?=[0-9])[0-9]{0,%d}%b" % (whole_digits, fraction)).fullmatch
