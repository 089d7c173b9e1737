"""The payment of a request: read, checked by the rules of the batch line, pseudonymised."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

from contracts.values import ValueClass, canonical, flaw
from serving.payments import pseudonymised
from serving.tokens import Tokens
from sources.declaration import Source, Version
from sources.number_format import NumberFormat
from sources.registry import DEFAULT_SOURCE, find, names
from sources.rules import ISO_TIME, Constant, Instant, Precision, Rule, Take
from streaming.mapped import mapped
from streaming.row_checks import RowChecks

LARGEST_BODY: Final = 16_384
"""Most bytes of a request. A payment with the longest texts has about 4,000."""
_Text = str | None
_Place = float | None
_S = TypeVar("_S", bound=msgspec.Struct)


class PaymentRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A payment. Only `transaction_id`, `timestamp`, `amount` and a customer are required.

    A field that is absent has the constant value that the source declares, if it declares one: the
    source `sparkov` has the currency USD.
    """

    transaction_id: str
    timestamp: str
    amount: Annotated[
        msgspec.Raw,
        msgspec.Meta(
            description="A number, with the decimals of its currency at most.",
            extra_json_schema={"type": ["number", "string"]},
        ),
    ]
    source_system: str = DEFAULT_SOURCE
    customer_id: _Text = None
    user_id: _Text = None
    currency: _Text = None
    card_number: _Text = None
    merchant_id: _Text = None
    merchant: _Text = None
    merchant_category: _Text = None
    merchant_type: _Text = None
    counterparty_type: _Text = None
    transaction_type: _Text = None
    channel: _Text = None
    payment_method: _Text = None
    country: _Text = None
    location: _Text = None
    lat: _Place = None
    lon: _Place = None
    home_lat: _Place = None
    home_lon: _Place = None
    device_id: _Text = None
    ip: _Text = None


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a field of a request; `field` is None for the request as a whole."""

    field: str | None
    sentence: str


class BadRequestError(ValueError):
    """Raised for a request that has no valid payment; `status` is that of the HTTP answer."""

    def __init__(self, mistakes: Sequence[Mistake], status: int = 422) -> None:
        super().__init__("; ".join(mistake.sentence for mistake in mistakes))
        self.mistakes, self.status = tuple(mistakes), status


def unknown_source() -> BadRequestError:
    """Return the error for a source that is not declared."""
    sentence = f"source_system: no source has this name. Use one of {', '.join(names())}."
    return BadRequestError([Mistake("source_system", sentence)])


def require_source(name: str | None) -> None:
    """Check the name of a source, if one is given.

    Raises:
        BadRequestError: when the source is not declared.
    """
    if name is not None and name not in names():
        raise unknown_source()


def too_large(payments: int = 1) -> BadRequestError:
    """Return the error for a request with more than `LARGEST_BODY` bytes for each payment."""
    allowed = "one payment" if payments == 1 else f"at most {payments} payments"
    sentence = (
        f"The request has more than {payments * LARGEST_BODY} bytes. Send {allowed} a request."
    )
    return BadRequestError([Mistake(None, sentence)], 413)


_FIELD_OF: Final[dict[str, str]] = {
    "event_id": "transaction_id",
    "customer_id": "customer_id",
    "instrument_id": "card_number",
    "counterparty_id": "merchant_id",
    "counterparty_type": "counterparty_type",
    "merchant_category": "merchant_category",
    "transaction_type": "transaction_type",
    "channel": "channel",
    "payment_method": "payment_method",
    "amount": "amount",
    "currency": "currency",
    "country": "country",
    "transaction_lat": "lat",
    "transaction_lon": "lon",
    "home_lat": "home_lat",
    "home_lon": "home_lon",
    "device_id": "device_id",
    "ip_hash": "ip",
}
_SECOND_NAMES: Final = {
    "customer_id": "user_id",
    "merchant_id": "merchant",
    "merchant_category": "merchant_type",
}
_DEFAULTS: Final = {
    "counterparty_type": "unknown",
    "transaction_type": "purchase",
    "channel": "unknown",
    "payment_method": "unknown",
}
_INSTANT: Final = Instant(("timestamp",), ISO_TIME)
_MAPPING: Final[dict[str, Rule]] = {
    "event_at": _INSTANT,
    "event_at_precision": Precision(_INSTANT),
    **{column: Take(field) for column, field in _FIELD_OF.items()},
}
_VERSION: Final = Version(1, "The payment of a request.", (), _MAPPING)
_FIELDS: Final = {**_FIELD_OF, "event_at": "timestamp"}
_PATH: Final = re.compile(r"`\$\.(\w+)|field `([^`]*)`")
_KEYS: Final = re.compile(rb'"(\w{1,40})"\s*:')
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_AS_TEXT: Final[Any] = {"parse_int": str, "parse_float": str}


@dataclass(frozen=True)
class _Limits:
    """A source with the fields and numbers of a request, its checks, and values of absent fields.

    `declared` has the limits and codes of the source.
    """

    declared: Source
    checks: RowChecks
    constants: Mapping[str, str]


class Reader:
    """Reads the payments of requests."""

    def __init__(self, tokens: Tokens) -> None:
        """Make tokens of identifiers with `tokens`."""
        self._tokens = tokens
        self._sources: dict[str, _Limits] = {}

    def payment(self, body: bytes, arrived: datetime) -> dict[str, Any]:
        """Return the payment of a request by the names of processed.transactions.

        Identifiers of persons are tokens, and places are rounded to 0.1 degree. `source_sequence`
        is the time of arrival, so that payments of one instant have the order of their arrival.

        Raises:
            BadRequestError: with each field that is wrong.
        """
        request = decoded(body, PaymentRequest)
        source = self._limits(request.source_system)
        values = _values(request, source.constants)
        row = mapped(values, source.declared, _VERSION)
        mistakes = [
            Mistake(
                _FIELDS[str(one.column)], f"{_FIELDS[str(one.column)]}: {_in_fields(one.rule)}."
            )
            for one in source.checks.refusals(row, arrived)
        ]
        if values["location"] and (wrong := flaw(values["location"], ValueClass.NAME)):
            mistakes.append(Mistake("location", f"location: it {wrong}."))
        if mistakes:
            raise BadRequestError(mistakes)
        return pseudonymised(
            row, source.declared, self._tokens, int(arrived.timestamp() * 1_000_000)
        )

    def hash_of(self, payment: Mapping[str, Any]) -> str:
        """Return the keyed hash over the content of a payment."""
        return self._tokens.hash_of(payment)

    def _limits(self, name: str) -> _Limits:
        if name not in self._sources:
            declared = find(name) if name in names() else None
            if declared is None:
                raise unknown_source()
            constants = {
                _FIELD_OF[column]: str(rule.value)
                for column, rule in declared.versions[-1].mapping.items()
                if column in _FIELD_OF and isinstance(rule, Constant)
            }
            source = replace(declared, versions=(_VERSION,), numbers=NumberFormat())
            self._sources[name] = _Limits(source, RowChecks(source), _DEFAULTS | constants)
        return self._sources[name]


def decoded(body: bytes, kind: type[_S]) -> _S:
    """Return a JSON body as a struct.

    Raises:
        BadRequestError: naming the field that is wrong, or in which the body stops being JSON.
    """
    fields = kind.__struct_fields__
    try:
        text = body.decode()
        value = msgspec.json.decode(body, type=kind)
        # msgspec takes the last one of two fields with a name.
        names = [name for name, _ in json.loads(text, object_pairs_hook=list, **_AS_TEXT)]
    except msgspec.ValidationError as error:
        match = _PATH.search(str(error))
        field = next(filter(None, match.groups()), None) if match else None
        raise BadRequestError([Mistake(field, f"{field or 'request'}: {error}.")]) from error
    except UnicodeDecodeError as error:
        raise _malformed(body, fields, error.start, "a byte that is not UTF-8") from error
    except msgspec.DecodeError as error:
        at = _BYTE.search(str(error))
        raise _malformed(body, fields, int(at[1]) if at else len(body), str(error)) from error
    except RecursionError as error:
        raise _malformed(body, fields, len(body), "it nests too deep") from error
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequestError([Mistake(twice, f"{twice}: the request has the field twice.")])
    return value


def _malformed(body: bytes, fields: Sequence[str], at: int, problem: str) -> BadRequestError:
    """Name the last field that begins before a byte of a body that is not JSON."""
    keys = [key.decode() for key in _KEYS.findall(body[:at])]
    field = next((key for key in reversed(keys) if key in fields), None)
    where = f"{field}: " if field else ""
    return BadRequestError([Mistake(field, f"{where}The request is not JSON: {problem}.")], 400)


def _values(request: PaymentRequest, constants: Mapping[str, str]) -> dict[str, str | None]:
    """Return the values of the fields as canonical text, and `constants` for absent ones."""
    given = {name: getattr(request, name) for name in PaymentRequest.__struct_fields__}
    given["amount"] = _amount(request.amount)
    for name, second in _SECOND_NAMES.items():
        if given[name] is not None and given[second] is not None:
            raise BadRequestError(
                [Mistake(second, f"{second}: give {name} or {second}, not both.")]
            )
        given[name] = given[second] if given[name] is None else given[name]
    values = {
        name: None if value is None else canonical(str(value)) or None
        for name, value in given.items()
    }
    return values | {name: values[name] or value for name, value in constants.items()}


def _amount(raw: msgspec.Raw) -> str:
    """Return an amount as it is written, a number or a text."""
    written = bytes(raw)
    if written.startswith(b'"'):
        try:
            return str(msgspec.json.decode(written, type=str))
        except msgspec.DecodeError:
            return ""
    return written.decode()


def _in_fields(rule: str) -> str:
    """Return the text of a rule with the names of fields instead of columns.

    >>> _in_fields("a text has a control character: event_id")
    'a text has a control character: transaction_id'
    """
    return re.sub(r"\w+", lambda word: _FIELDS.get(word[0], word[0]), rule)
