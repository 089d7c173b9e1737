"""The canonical values of one message, by the declared mapping of its source.

`spark/transforms/adapt.py` does the same for the rows of a frame. No module of the message path
imports Spark, so that the validation service starts at once.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Final
from zoneinfo import ZoneInfo

from contracts.reasons import RejectReason
from contracts.values import COORDINATE, MONEY_WHOLE_DIGITS, NUMBER, VALUES, ValueClass, canonical
from sources.currencies import minor_unit_digits
from sources.declaration import Source, Version
from sources.rules import (
    BETWEEN_FLAGS,
    ISO_TIME,
    LABEL_COLUMNS,
    ByAffix,
    Coded,
    Constant,
    Flags,
    Instant,
    Precision,
    RowNumber,
    Rule,
    Take,
)
from sources.text import line_rows

Values = Mapping[str, str | None]
"""The values of a message by the name of the source's column, as canonical text."""
_NUMBER: Final = re.compile(r"[+-]?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
"""The parts of a number: `NUMBER` with groups, without a limit of the exponent's digits."""
_IS_NUMBER: Final = re.compile(NUMBER)
_IS_COORDINATE: Final = re.compile(COORDINATE)
_TOO_LARGE: Final = 10**MONEY_WHOLE_DIGITS
_TIME: Final = re.compile(
    r"([+-]?[0-9]{4,})(-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?",
    re.ASCII | re.IGNORECASE,
)
"""A time in one of the patterns of `ISO_TIME`."""
_FURTHEST_ZONE: Final = timedelta(hours=18)
_READ: Final = (Take, Constant, ByAffix, Coded, Precision, RowNumber, Flags)


class UnreadableMappingError(ValueError):
    """Raised when the stream cannot read a source."""


@dataclass(frozen=True)
class Mapped:
    """The canonical values of a message that are checked.

    `flags` are joined by commas. `amount` is None with the reason `amount_flaw`. An unreadable time
    is None, an unreadable coordinate NaN. `unreadable_features` names the source features that are
    no finite numbers.
    """

    texts: Mapping[str, str | None]
    flags: str | None
    event_at: datetime | None
    amount: Decimal | None
    amount_flaw: RejectReason | None
    places: Mapping[str, float | None]
    unreadable_features: Sequence[str]


def check_mapping(source: Source) -> Version:
    """Return the layout by which messages of a source are read, its newest.

    Raises:
        UnreadableMappingError: naming the column whose rule the stream cannot evaluate.
    """
    if "jsonl" not in source.formats:
        raise UnreadableMappingError(
            f"{source.name} delivers {', '.join(source.formats)}, and a stream has JSON messages:"
            " declare jsonl among its formats."
        )
    version = source.versions[-1]
    for name, rule in version.mapping.items():
        is_iso = isinstance(rule, Instant) and set(rule.patterns) <= set(ISO_TIME)
        if not (is_iso or isinstance(rule, _READ) or name in LABEL_COLUMNS):
            raise UnreadableMappingError(
                f"{name} of {source.name} has the rule {type(rule).__name__}, which a stream does"
                " not read: send times in ISO 8601, and identifiers and amounts in one field each."
            )
    return version


def fields_of(message: bytes, version: Version) -> tuple[Values, bool]:
    """Return the values of a message by field, and whether it is a readable JSON object.

    Where it is not, the values that cannot be read are None.
    """
    names = [column.name for column in version.layout]
    rows = list(line_rows([(0, message)], "jsonl", names))
    written = rows[0].values if rows else [None] * len(names)
    values = {
        name: canonical(value) or None if value is not None else None
        for name, value in zip(names, written, strict=True)
    }
    return values, bool(rows) and rows[0].is_readable


def mapped(values: Values, source: Source, version: Version) -> Mapped:
    """Return the canonical values of a message; this step validates nothing."""
    rules = version.mapping
    texts = {
        name: text_of(rule, values)
        for name, rule in rules.items()
        if VALUES[name] in (ValueClass.IDENTIFIER, ValueClass.CODE, ValueClass.NAME)
    }
    currency = texts["currency"] = (texts["currency"] or "").upper() or None
    amount, flaw = _money(text_of(rules["amount"], values), currency or "", source)
    if source.negative_amounts == "refund" and amount is not None and amount < 0:
        amount = amount.copy_negate()
        texts["transaction_type"] = "refund"
    flags, instant = rules.get("source_flags"), rules["event_at"]
    return Mapped(
        texts,
        ",".join(_flags(flags, values)) or None if isinstance(flags, Flags) else None,
        _instant(instant, values, source.zone) if isinstance(instant, Instant) else None,
        amount,
        flaw,
        {
            name: _double(text_of(rule, values), source, _IS_COORDINATE)
            for name, rule in rules.items()
            if VALUES[name] is ValueClass.PLACE
        },
        [
            name
            for name, field in sorted(version.features.items())
            if not isfinite(_double(values[field], source, _IS_NUMBER) or 0)
        ],
    )


def text_of(rule: Rule, values: Values) -> str | None:
    """Return the text that a mapping rule gives; None for a rule that gives no text.

    >>> rule = ByAffix("category", suffixes={"_net": "web"}, otherwise="pos")
    >>> text_of(rule, {"category": "misc_net"})
    'web'
    """
    match rule:
        case Take(column, prefix):
            value = values[column]
            if value is None or not prefix or not value.startswith(prefix):
                return value
            return value.removeprefix(prefix).strip(" ") or None
        case Constant(constant):
            return str(constant)
        case Precision():
            return "second"
        case ByAffix(column, otherwise, prefixes, suffixes):
            value = values[column]
            if value is None:
                return "unknown"
            codes = [code for suffix, code in suffixes.items() if value.endswith(suffix)]
            codes += [code for prefix, code in prefixes.items() if value.startswith(prefix)]
            return codes[-1] if codes else otherwise
        case Coded(column, codes_of, missing):
            value = values[column]
            if value is None:
                return missing
            code = {name.lower(): code for name, code in codes_of.items()}.get(
                value.lower(), value.lower()
            )
            return missing if code is None else code
        case _:
            return None


def time_of(text: str, zone: str) -> datetime | None:
    """Return the instant of a time in ISO 8601, or None; one without an offset is of `zone`.

    A year that Python's calendar has not is its last or first instant. A local time that a clock
    skips, when it is set forward, is none; one that it shows twice is the first.

    >>> str(time_of("2024-05-01T02:00:00+02:00", "UTC")), time_of("2024-02-30T00:00:00Z", "UTC")
    ('2024-05-01 00:00:00+00:00', None)
    """
    if not (parts := _TIME.fullmatch(text)):
        return None
    year, day, clock, fraction, offset = parts.groups(default="")
    is_far = len(year) != 4 or year == "0000"
    try:
        # 2000 has each day that any year has.
        written = f"{'2000' if is_far else year}{day}T{clock}{fraction}{offset.upper()}"
        at = datetime.fromisoformat(written)
        if is_far:
            return _end_of_time(year)
        if at.tzinfo is None:
            local = at.replace(tzinfo=ZoneInfo(zone))
            instant = local.astimezone(UTC)
            return instant if instant.astimezone(local.tzinfo) == local else None
        if abs(at.utcoffset() or timedelta()) > _FURTHEST_ZONE:
            return None
        return at.astimezone(UTC)
    except ValueError:
        return None
    except OverflowError:
        return _end_of_time(year)


def _end_of_time(year: str) -> datetime:
    end = datetime.min if year.startswith(("-", "0")) else datetime.max
    return end.replace(tzinfo=UTC)


def _instant(rule: Instant, values: Values, zone: str) -> datetime | None:
    written = (values[column] for column in rule.columns)
    return time_of(" ".join(text for text in written if text is not None), zone)


def _money(
    text: str | None, currency: str, source: Source
) -> tuple[Decimal | None, RejectReason | None]:
    """Return an amount with the decimals that its currency has, and the reason why it is none."""
    if not source.numbers.is_plain:
        text = source.numbers.plain(text)
    if source.numbers.minor_units and text is not None:
        text = f"{text}e-{minor_unit_digits(currency)}"
    parts = _NUMBER.fullmatch(text or "")
    if text is None or not parts or not _IS_NUMBER.fullmatch(text):
        return None, RejectReason.UNREADABLE_AMOUNT
    whole, fraction, power = parts.groups(default="")
    significant = (whole + fraction).rstrip("0")
    decimals = len(significant) - len(whole) - int(power or 0)
    if significant.lstrip("0") and decimals > source.decimals_in(currency):
        return None, RejectReason.EXCESS_DECIMALS
    amount = Decimal(text)
    if amount.copy_abs() >= _TOO_LARGE:
        return None, RejectReason.ABSURD_AMOUNT
    return amount, None


def _double(text: str | None, source: Source, form: re.Pattern[str]) -> float | None:
    """Return a text of a form as a number; None stays None, and any other text is NaN."""
    if text is None:
        return None
    written = text if source.numbers.is_plain else source.numbers.plain(text)
    return float(written) if written and form.fullmatch(written) else float("nan")


def _flags(rule: Flags, values: Values) -> dict[str, None]:
    """Return the flags of the lists of a message; those of columns are our own words."""
    names: list[str] = []
    for column in rule.lists:
        listed = values[column]
        if listed is None:
            continue
        if not listed.startswith("["):
            names += re.split(BETWEEN_FLAGS, listed)
            continue
        try:
            parts = json.loads(listed)
        except (ValueError, RecursionError):
            continue
        flags = (one for one in parts if one is not None)
        names += [one if isinstance(one, str) else json.dumps(one) for one in flags]
    return dict.fromkeys(filter(None, names))
