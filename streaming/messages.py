"""The messages of the stream as msgspec types, rendered from the declaration of a source.

A message is a JSON object in the layout of its source, as `python -m simulator --stream` writes it.
`usual_payment` has the limits of the contracts in the form that msgspec checks while it decodes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from contracts.values import LONGEST, VALUES, ValueClass
from sources.checks import CODED, allowed_codes, place_range
from sources.currencies import ISO_4217
from sources.declaration import Source
from sources.number_format import NumberFormat
from sources.rules import (
    ByAffix,
    Coded,
    Constant,
    Instant,
    Precision,
    Rule,
    Take,
    columns_of,
)
from streaming.mapped import check_mapping

_UNUSUAL: Final = Annotated[str, msgspec.Meta(min_length=1, max_length=0)]
"""The type of a field that a usual message leaves out: it has no value."""
_INSTANT: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-](0[0-9]|1[0-7]):[0-5][0-9])\Z"
)
"""A time in ISO 8601 with its zone, as nearly every source writes it."""
Codes = frozenset[str]
CHECKED: Final = ("event_id", "customer_id", "event_at", "amount", "currency")
"""Mapped columns that are needed, and of which more is checked than msgspec checks."""


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A message of `transactions.rejected`: why a message was refused, and what may be shown of it.

    `reasons` and `rules` are those of the quarantine, most important first. `field` is the field of
    the first one, `sentence` says what to do. `payload` has the fields of the layout, masked unless
    they are no personal data. `original_bytes` is the size of the message that arrived.
    """

    source_system: str
    reasons: Sequence[str]
    rules: Sequence[str]
    field: str | None
    sentence: str
    event_id: str | None
    event_at: datetime | None
    arrived_at: datetime
    original_bytes: int
    payload: dict[str, str | None]


class UsualPayment(NamedTuple):
    """The type of the usual payments of a source, and the fields of which more is checked.

    `checked` are the fields of the columns `CHECKED`, `texts` those whose text is no code.
    """

    type: type[Any]
    checked: list[str]
    texts: list[str]


def usual_payment(source: Source) -> UsualPayment | None:
    """Return the type of the usual payments of a source: a part of the valid messages.

    A usual message has codes in lower case, numbers as JSON numbers and no list. A message that
    does not decode may be valid nevertheless. Fields that no check reads are skipped, and the
    amount stays as it is written.

    Returns: None where no message is usual: a column of `CHECKED` is not one field as it is
    written, a constant is no code of its list, or the source has features.

    Raises:
        UnreadableMappingError: when the stream cannot read the source.
    """
    version = check_mapping(source)
    rules = version.mapping
    codes = {**allowed_codes(source), "currency": ISO_4217}
    checked = [f for name in CHECKED if _is_whole(rules[name]) for f in columns_of(rules[name])]
    constants = {name: str(rule.value) for name, rule in rules.items() if type(rule) is Constant}
    are_codes = all(value in codes.get(name, {value}) for name, value in constants.items())
    if len(checked) != len(CHECKED) or not are_codes or version.features:
        return None
    readers: dict[str, dict[str, Rule]] = {}
    for name, rule in rules.items():
        for field in columns_of(rule):
            readers.setdefault(field, {})[name] = rule
    required, optional = list[tuple[str, Any]](), list[tuple[str, Any, None]]()
    for field, by_name in readers.items():
        limits = [_limit(name, rule, codes.get(name), source) for name, rule in by_name.items()]
        limits = [limit for limit in limits if limit is not None]
        limit = limits[0] if len(limits) == 1 else _UNUSUAL
        if any(_needs_value(name, rule, codes.get(name)) for name, rule in by_name.items()):
            required.append((field, limit))
        elif limits:
            optional.append((field, limit | None, None))
    payment = msgspec.defstruct("Payment", [*required, *optional], frozen=True, gc=False)
    texts = [
        field
        for name, rule in rules.items()
        if VALUES[name] in LONGEST and name not in codes and isinstance(rule, Take)
        for field in columns_of(rule)
    ]
    return UsualPayment(payment, checked, texts)


def _is_whole(rule: Rule) -> bool:
    """Return whether a rule gives the value of one field as it is written."""
    return (isinstance(rule, Take) and not rule.strip_prefix) or (
        isinstance(rule, Instant) and len(rule.columns) == 1
    )


def _needs_value(name: str, rule: Rule, codes: Codes | None) -> bool:
    """Return whether a payment is refused if the field of a rule has no value."""
    match rule:
        case Precision():
            return False
        case ByAffix():
            return codes is not None and "unknown" not in codes
        case Coded(missing=str(missing)):
            return codes is not None and missing not in codes
        case Coded():
            return name in CODED
        case _:
            return name in CHECKED or name in CODED


def _limit(name: str, rule: Rule, codes: Codes | None, source: Source) -> Any:
    """Return the type of a field that a rule reads for a mapped column; None if any will do."""
    match rule:
        case Take(_, ""):
            return _limit_of_value(name, codes, source)
        case Coded(_, codes_of) if codes:
            lower = {code: code for code in codes if code == code.lower()}
            code_of = lower | {text.lower(): code for text, code in codes_of.items()}
            spelled = sorted(text for text, code in code_of.items() if code in codes)
            return Literal[*spelled] if spelled else _UNUSUAL
        case ByAffix(_, otherwise, prefixes, suffixes) if codes:
            made = {"unknown", otherwise, *prefixes.values(), *suffixes.values()}
            return None if made <= codes else _UNUSUAL
        case Instant():
            return Annotated[str, msgspec.Meta(pattern=_INSTANT)]
        case Precision():
            return None
        case _:
            return _UNUSUAL


def _limit_of_value(name: str, codes: Codes | None, source: Source) -> Any:
    kind = VALUES[name]
    is_number = name == "amount" or kind is ValueClass.PLACE
    if is_number and source.numbers != NumberFormat():
        return _UNUSUAL
    if codes is not None:
        return Literal[*sorted(codes)]
    if kind in LONGEST:
        return Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST[kind])]
    if kind is ValueClass.PLACE:
        least, greatest = place_range(name)
        return Annotated[float, msgspec.Meta(ge=least, le=greatest)]
    return msgspec.Raw if name == "amount" else None
