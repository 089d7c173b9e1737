"""The payment of a request: what is accepted, and what is refused with the name of the field."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.values import CLOCK_TOLERANCE
from serving.request import BadRequestError, Reader
from serving.tokens import KeyFileError, Tokens

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SHORT = {
    "transaction_id": "t1",
    "user_id": "u1",
    "amount": 943.22,
    "location": "Miami, FL",
    "timestamp": "2024-06-25T12:00:00Z",
    "merchant_type": "shopping_net",
}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    key = tmp_path / "key"
    key.write_text("ab" * 32 + "\n")
    return Reader(Tokens(key))


def mistakes(reader: Reader, body: bytes, arrived: datetime = NOW) -> tuple[int, set[str | None]]:
    with pytest.raises(BadRequestError) as error:
        reader.payment(body, arrived)
    assert all(len(one.sentence) < 400 for one in error.value.mistakes)
    return error.value.status, {one.field for one in error.value.mistakes}


def test_the_short_form_takes_the_constants_of_its_source(reader: Reader) -> None:
    payment = reader.payment(json.dumps(SHORT).encode(), NOW)
    assert payment["amount"] == Decimal("943.22")
    assert (payment["currency"], payment["country"]) == ("USD", "US")
    assert (payment["counterparty_type"], payment["transaction_type"]) == ("merchant", "purchase")
    assert (payment["merchant_category"], payment["channel"]) == ("shopping_net", "unknown")
    assert payment["event_at"] == datetime(2024, 6, 25, 12, tzinfo=UTC)
    assert len(payment["customer_id"]) == 32


def test_a_payment_has_no_identifier_of_a_person_and_no_exact_place(reader: Reader) -> None:
    given = {"card_number": "4613314721966", "ip": "203.0.113.7", "device_id": "d1"}
    places = {"lat": 25.75, "lon": -80.25, "home_lat": 25.8123, "home_lon": -80.2}
    payment = reader.payment(json.dumps(SHORT | given | places).encode(), NOW)
    assert not {*given.values(), "u1"} & set(payment.values())
    assert (payment["transaction_lat"], payment["transaction_lon"]) == (25.8, -80.3)
    assert (payment["home_lat"], payment["home_lon"]) == (25.8, -80.2)


def test_a_payee_that_is_a_customer_has_its_token_as_a_payer(reader: Reader) -> None:
    payee = {"source_system": "simulator", "merchant_id": "u1", "counterparty_type": "customer"}
    rest = {"currency": "EUR", "merchant_type": None, "location": None}
    payment = reader.payment(json.dumps(SHORT | payee | rest).encode(), NOW)
    assert payment["counterparty_id"] == payment["customer_id"]


@pytest.mark.parametrize(
    ("written", "amount"),
    [("12.5", "12.5"), ('"12.50"', "12.50"), ("1e2", "100"), ("9007199254740993", None)],
)
def test_an_amount_is_exact(reader: Reader, written: str, amount: str | None) -> None:
    body = json.dumps(SHORT).replace("943.22", written).encode()
    if amount is None:  # above the limit of the source
        assert mistakes(reader, body) == (422, {"amount"})
    else:
        assert reader.payment(body, NOW)["amount"] == Decimal(amount)


_WRONG: list[tuple[str, dict[str, Any]]] = [
    ("amount", {"amount": -1}),
    ("amount", {"amount": "x"}),
    ("amount", {"amount": [1]}),
    ("amount", {"amount": {"a": {}}}),
    ("amount", {"amount": None}),
    ("amount", {"amount": True}),
    ("amount", {"amount": 1.234}),
    ("amount", {"amount": "1e400"}),
    ("transaction_id", {"transaction_id": "a\x00b"}),
    ("transaction_id", {"transaction_id": " "}),
    ("transaction_id", {"transaction_id": "x" * 300}),
    ("transaction_id", {"transaction_id": 7}),
    ("timestamp", {"timestamp": "yesterday"}),
    ("timestamp", {"timestamp": "1970-01-01T00:00:00Z"}),
    ("timestamp", {"timestamp": (NOW + CLOCK_TOLERANCE * 2).isoformat()}),
    ("lat", {"lat": 91}),
    ("lon", {"lon": "east"}),
    ("country", {"country": "ZZZ"}),
    ("merchant_category", {"merchant_type": "nope"}),
    ("channel", {"channel": "fax"}),
    ("currency", {"currency": "ABC"}),
    ("user_id", {"user_id": 5}),
    ("customer_id", {"user_id": None}),
    ("user_id", {"customer_id": "u1"}),
    ("device_id", {"device_id": "\x00"}),
    ("ip", {"ip": "9" * 300}),
    ("location", {"location": "Miami\x07"}),
    ("foo", {"foo": 1}),
    ("source_system", {"source_system": "../etc"}),
]


@pytest.mark.parametrize(("field", "change"), _WRONG)
def test_a_wrong_field_is_named(reader: Reader, field: str, change: dict[str, Any]) -> None:
    status, fields = mistakes(reader, json.dumps(SHORT | change).encode())
    assert (status, fields) == (422, {field})


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("transaction_id", rb'{"transaction_id": "\ud800", "amount": 1}'),
        ("transaction_id", b'{"amount": 1, "transaction_id": "\xff"}'),
        ("amount", b'{"transaction_id": "a", "amount": NaN}'),
        ("amount", b'{"transaction_id": "a", "amount": Infinity}'),
        ("amount", b'{"transaction_id": "a", "amount": ' + b"[" * 9_000 + b"]" * 9_000 + b"}"),
        ("amount", b'{"transaction_id": "a", "amount": 1'),
        (None, b""),
        (None, b"\xff\xfe{"),
    ],
)
def test_what_is_not_json_is_refused_with_the_field_where_it_breaks(
    reader: Reader, field: str | None, body: bytes
) -> None:
    assert mistakes(reader, body) == (400, {field})


@pytest.mark.parametrize("body", [b"[]", b"null", b'"payment"', b"1"])
def test_json_that_is_no_object_is_refused(reader: Reader, body: bytes) -> None:
    assert mistakes(reader, body) == (422, {None})


def test_each_wrong_field_of_a_request_is_named(reader: Reader) -> None:
    body = json.dumps(SHORT | {"amount": -1, "lat": 91, "channel": "fax"}).encode()
    assert mistakes(reader, body) == (422, {"amount", "lat", "channel"})


def test_a_clock_may_differ_by_five_minutes(reader: Reader) -> None:
    body = json.dumps(SHORT | {"timestamp": (NOW + CLOCK_TOLERANCE).isoformat()}).encode()
    assert timedelta(minutes=5) == CLOCK_TOLERANCE
    assert reader.payment(body, NOW)["event_at"] > NOW
    assert reader.payment(body, NOW + timedelta(hours=1))
    behind = NOW - timedelta(seconds=1)
    assert mistakes(reader, body, behind) == (422, {"timestamp"})


@pytest.mark.parametrize("text", ["", "ab" * 31, "xy" * 32])
def test_a_damaged_key_makes_no_tokens(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(KeyFileError, match="does not hold 64 hexadecimal digits"):
        Tokens(tmp_path / "key")


def test_a_missing_key_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        Tokens(tmp_path / "none")
