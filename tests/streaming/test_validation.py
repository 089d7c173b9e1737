import ast
import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.reasons import RejectReason
from contracts.values import CLOCK_TOLERANCE
from simulator.dirt import Outcome
from sources.declaration import Source
from sources.handbook import HANDBOOK
from sources.number_format import NumberFormat
from sources.registry import source
from sources.rules import (
    ISO_TIME,
    ByAffix,
    Coded,
    Constant,
    Epoch,
    Instant,
    Rule,
    Take,
    TimePattern,
)
from sources.simulator import SIMULATOR
from streaming.mapped import UnreadableMappingError
from streaming.masking import MASK
from streaming.messages import Reject
from streaming.validation import Rejected, Valid, Validator
from tests.streaming.conftest import ARRIVED, SOUND, Day, changed
from tests.streaming.hostile import hostile_messages

_REPO = Path(__file__).parents[2]
_SOUND_MESSAGE = json.dumps(SOUND).encode()
_MOST_BYTES = 30_000
"""Far more than a refused message has, whatever the size of the one that arrived."""


def message(**changes: object) -> bytes:
    return json.dumps(changed(**changes), ensure_ascii=False).encode()


def refused(validator: Validator, sent: bytes) -> Reject:
    verdict = validator.validate(sent, ARRIVED)
    assert isinstance(verdict, Rejected)
    return verdict.reject


def test_a_valid_message_is_passed_on_as_it_was_written(validator: Validator) -> None:
    for sent in (_SOUND_MESSAGE, message(channel="APP", amount="212.18"), message(city="東京")):
        verdict = validator.validate(sent, ARRIVED)
        assert isinstance(verdict, Valid)
        assert (verdict.message, verdict.key) == (sent, b"C0000020")
        assert datetime.fromisoformat(verdict.time.decode()) == datetime(
            *(2026, 1, 1, 0, 2, 28), tzinfo=UTC
        )


def test_the_key_is_the_payer_in_canonical_form(validator: Validator) -> None:
    for written in (" C1 ", "\u200bC1", "C1\u00a0"):
        verdict = validator.validate(message(customer_id=written), ARRIVED)
        assert isinstance(verdict, Valid)
        assert verdict.key == b"C1"


def test_line_breaks_between_fields_become_blanks(validator: Validator) -> None:
    sent = json.dumps(SOUND, indent=2).encode()
    verdict = validator.validate(sent, ARRIVED)
    assert isinstance(verdict, Valid)
    assert b"\n" not in verdict.message
    assert json.loads(verdict.message) == SOUND


def test_a_refused_message_says_what_where_and_what_to_do(validator: Validator) -> None:
    sent = message(currency="EURO", timestamp="yesterday")
    reject = refused(validator, sent)
    assert reject.reasons == ["unreadable_time", "unknown_currency"]
    assert reject.field == "timestamp"
    assert reject.sentence == (
        "timestamp: the time of the payment is missing or cannot be read."
        " Correct it in simulator and send the payment again."
    )
    assert (reject.source_system, reject.event_id) == ("simulator", "2c829abe1f4532e1")
    assert (reject.event_at, reject.arrived_at) == (None, ARRIVED)
    assert reject.original_bytes == len(sent)


def test_the_time_of_a_refused_message_is_shown_where_it_can_be_read(validator: Validator) -> None:
    reject = refused(validator, message(channel="fax"))
    assert reject.event_at == datetime(2026, 1, 1, 0, 2, 28, tzinfo=UTC)
    assert refused(validator, message(timestamp="9999-12-31T00:00:00Z")).event_at is None


def test_the_message_of_a_refusal_decodes_to_it(validator: Validator) -> None:
    verdict = validator.validate(message(amount="twelve"), ARRIVED)
    assert isinstance(verdict, Rejected)
    assert msgspec.json.decode(verdict.message, type=Reject) == verdict.reject


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "unreadable_row"),
        (b" \n ", "unreadable_row"),
        (b"\x00" * 3_000_000, "unreadable_row"),
        (b"[" * 3_000_000, "unreadable_row"),
        (b'{"a":' * 3_000 + b"1" + b"}" * 3_000, "unreadable_row"),
        (_SOUND_MESSAGE[:-1] + b',"a":' + b"[" * 65 + b"]" * 65 + b"}", "unreadable_row"),
        (_SOUND_MESSAGE[:-1] + b',"a":"\xff"}', "unreadable_row"),
        (_SOUND_MESSAGE[:-1] + b',"a":"\\ud83d"}', "unreadable_row"),
        (_SOUND_MESSAGE[:-1] + b',"a":"x\ny"}', "unreadable_row"),
        (_SOUND_MESSAGE[: len(_SOUND_MESSAGE) // 2], "unreadable_row"),
        (message(merchant_id="M\x00"), "unprintable_text"),
        (message(merchant_id="x" * 3_000_000), "overlong_text"),
        (message(merchant_id="a" + "\u0301\u0323" * 700_000), "overlong_text"),
        (message(amount="9" * 3_000_000), "absurd_amount"),
        (message(amount="0." + "0" * 3_000_000 + "1"), "excess_decimals"),
        (message(amount=float("nan")), "unreadable_amount"),
        (message(amount=12.505), "excess_decimals"),
        (message(amount=1.5, currency="JPY"), "excess_decimals"),
        (message(amount=-1), "negative_amount"),
        (message(timestamp="9999-12-31T00:00:00Z"), "implausible_time"),
        (message(timestamp="2026-06-01T00:05:01Z"), "future_time"),
        (_SOUND_MESSAGE[:-1] + b',"currency":"ZZZ"}', "unknown_currency"),
    ],
)
def test_a_poison_message_has_its_reason(validator: Validator, sent: bytes, reason: str) -> None:
    verdict = validator.validate(sent, ARRIVED)
    assert isinstance(verdict, Rejected)
    assert verdict.reject.reasons[0] == reason
    assert len(verdict.message) < _MOST_BYTES


@pytest.mark.parametrize(
    "sent",
    [
        _SOUND_MESSAGE[:-1] + b',"note":"' + b"x" * 3_000_000 + b'"}',
        b'{"currency":"ZZZ",' + _SOUND_MESSAGE[1:],
        message(amount=1.234, currency="KWD"),
        message(timestamp="2026-06-01T02:00:00+02:00"),
        message(lat="1.2E+1", lon=None, device_id=...),
    ],
)
def test_a_strange_message_without_a_flaw_is_valid(validator: Validator, sent: bytes) -> None:
    assert isinstance(validator.validate(sent, ARRIVED), Valid)


@pytest.mark.parametrize("unusual", [{}, {"channel": "APP"}])
@pytest.mark.parametrize(
    ("ahead", "is_valid"),
    [
        (timedelta(seconds=2), True),
        (CLOCK_TOLERANCE, True),
        (CLOCK_TOLERANCE + timedelta(microseconds=1), False),
        (timedelta(days=1), False),
        (timedelta(hours=-2), True),
    ],
)
def test_a_clock_may_be_behind_or_five_minutes_ahead(
    validator: Validator, ahead: timedelta, is_valid: bool, unusual: dict[str, str]
) -> None:
    sent = message(timestamp=(ARRIVED + ahead).isoformat(), **unusual)
    verdict = validator.validate(sent, ARRIVED)
    if is_valid:
        assert isinstance(verdict, Valid)
    else:
        assert isinstance(verdict, Rejected)
        assert verdict.reject.rules == [
            "the payment is dated more than 5 minutes after its arrival"
        ]


def test_simulated_dirt_is_refused_as_the_ledger_says(validator: Validator, dirty_day: Day) -> None:
    """Repeats need the payments before them: the batch line finds them."""
    refused_rows = {}
    for number, sent in enumerate(dirty_day.messages):
        verdict = validator.validate(sent, ARRIVED)
        if isinstance(verdict, Rejected):
            refused_rows[number] = verdict.reject.reasons[0]
    declared = {
        entry.row: entry.reason
        for entry in dirty_day.delivery.ledger
        if entry.outcome is Outcome.QUARANTINED and entry.kind != "conflicting_duplicate"
    }
    assert len(set(declared.values())) > 10
    assert refused_rows == declared


def test_no_refused_message_shows_a_person(validator: Validator, dirty_day: Day) -> None:
    hidden = ("card_number", "customer_id", "customer_name", "email", "address", "city", "ip")
    people: Counter[str] = Counter()
    rejected = []
    for sent in dirty_day.messages:
        verdict = validator.validate(sent, ARRIVED)
        if isinstance(verdict, Rejected):
            rejected.append(verdict.message.decode())
        try:
            row = json.loads(sent)
        except ValueError:
            continue
        people.update(row[name] for name in hidden if row.get(name))
        if row["type"] == "transfer":
            people.update([row["merchant_id"], row["merchant_name"]])
    shown = "\n".join(rejected)
    assert len(rejected) > 100
    assert [value for value in people if value in shown] == []


def test_personal_data_in_a_field_that_is_shown_is_masked(validator: Validator) -> None:
    reject = refused(
        validator,
        message(
            channel="4809 1242 5089 9617",
            merchant_category_code="lewismadison@example.net",
            country="QQ",
            merchant_id="C0000021",
        ),
    )
    shown = {name: reject.payload[name] for name in ("channel", "merchant_category_code")}
    assert shown == {"channel": MASK, "merchant_category_code": MASK}
    assert reject.payload["merchant_id"] == MASK
    assert reject.payload["country"] == "QQ"


_TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", " ", "\u00a0", "x" * 257, "é" * 4_000, "4.78E+18", "NaN", "a\x00", "\\"]),
    st.sampled_from(["1", "true", "[]", '["a"]', "{", "2026-01-01T00:02:28Z", "9999-12-31"]),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=4,
)
_CHANGED = st.dictionaries(st.sampled_from([*SOUND, "lat", "lon"]), _JSON, max_size=3).map(
    lambda changes: json.dumps(SOUND | changes, ensure_ascii=len(changes) == 2).encode()
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a sound message with a part replaced by other bytes."""
    body = draw(st.sampled_from([_SOUND_MESSAGE, message(city="東京"), message(amount=1)]))
    start = draw(st.integers(0, len(body)))
    length = draw(st.integers(0, 12))
    part = draw(st.binary(max_size=6) | st.sampled_from(_PARTS))
    return body[:start] + part + body[start + length :]


_PARTS = [
    *(b'"', b"\\", b"{", b"[", b"}", b",", b":", b"\n", b"\x7f", b"\x00", b"\xff", b"null", b"+"),
    *(b"1e5", b"E+1", b"NaN", b"-", b"\\ud83d", b"\\u0000", b"\xc2\x85", b"0", b".", b" "),
]


@given(sent=st.binary() | damaged() | _CHANGED)
@example(sent=b"\xef\xbb\xbf" + _SOUND_MESSAGE)
@example(sent=_SOUND_MESSAGE.replace(b"212.18", b"2.1E+2"))
@example(sent=_SOUND_MESSAGE.replace(b"29.73735", b"1e-0001"))
def test_any_message_is_valid_or_refused_with_a_declared_reason(sent: bytes) -> None:
    """And what is accepted at once is accepted by a close look too."""
    validator = _VALIDATOR
    verdict = validator.validate(sent, ARRIVED)
    if isinstance(verdict, Valid):
        assert verdict.key
        assert b"\n" not in verdict.message
        close = validator.validate(sent + b"\n", ARRIVED)
        assert isinstance(close, Valid)
        assert close.key == verdict.key
        return
    reject = verdict.reject
    assert reject.reasons
    assert set(reject.reasons) <= set(RejectReason)
    assert len(reject.rules) == len(reject.reasons)
    assert len(verdict.message) < _MOST_BYTES
    assert verdict.message.decode().isprintable()
    assert msgspec.json.decode(verdict.message, type=Reject) == reject


_VALIDATOR = Validator(SIMULATOR)


def test_many_damaged_messages_are_accepted_at_once_only_if_a_close_look_accepts_them() -> None:
    rng = random.Random(7)
    accepted = 0
    for _ in range(5_000):
        body = bytearray(_SOUND_MESSAGE)
        body[rng.randrange(len(body))] = rng.choice(b'0159eE+-.,:"\\ {}[]\x7f\xc3nuZ')
        verdict = _VALIDATOR.validate(bytes(body), ARRIVED)
        if isinstance(verdict, Valid):
            accepted += 1
            assert isinstance(_VALIDATOR.validate(bytes(body) + b"\n", ARRIVED), Valid), body
    assert accepted > 1_000


def _source(**changes: Rule) -> Source:
    version = SIMULATOR.versions[0]
    return replace(SIMULATOR, versions=(replace(version, mapping={**version.mapping, **changes}),))


@pytest.mark.parametrize(
    "declared",
    [
        SIMULATOR,
        _source(currency=Constant("EUR")),
        _source(currency=Constant("EURO")),
        _source(currency=Coded("currency", {"usd": "USD"}, missing="XXX")),
        _source(channel=Constant("fax")),
        _source(channel=ByAffix("merchant_id", "fax", prefixes={"M": "pos"})),
        _source(channel=Coded("channel", {"app": "fax", "fax": "pos"}, missing="post")),
        _source(transaction_type=ByAffix("type", "purchase")),
        _source(country=Coded("country", {"us": "US"})),
        _source(customer_id=Take("customer_id", strip_prefix="C")),
        _source(customer_id=Take("transaction_id")),
        _source(device_id=Take("ip")),
        _source(event_at=Instant(("timestamp", "ip"), ISO_TIME)),
        replace(SIMULATOR, codes={"merchant_category": ("7011", "x" * 256)}),
        replace(SIMULATOR, absurd_amount=Decimal("5.00"), negative_amounts="refund"),
        replace(SIMULATOR, numbers=NumberFormat(",", ".")),
        replace(SIMULATOR, numbers=NumberFormat(minor_units=True), checks_minor_units=False),
        replace(SIMULATOR, zone="Asia/Tokyo"),
        source("card_feed"),
    ],
)
def test_a_usual_message_has_the_verdict_of_a_close_look(declared: Source) -> None:
    """A line break is valid in JSON, and no usual message has one."""
    validator = Validator(declared)
    for sent in hostile_messages():
        verdict, close = (validator.validate(one, ARRIVED) for one in (sent, sent + b"\n"))
        assert type(verdict) is type(close), sent
        if isinstance(verdict, Valid) and isinstance(close, Valid):
            assert verdict.key == close.key, sent


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (HANDBOOK, "handbook delivers parquet, and a stream has JSON messages"),
        (_source(event_at=Epoch("timestamp")), "event_at of simulator has the rule Epoch"),
        (
            _source(event_at=Instant(("timestamp",), (TimePattern("dd.MM.yyyy"),))),
            "event_at of simulator has the rule Instant",
        ),
    ],
)
def test_a_source_that_no_stream_reads_is_a_sentence(declared: Source, sentence: str) -> None:
    with pytest.raises(UnreadableMappingError, match=sentence):
        Validator(declared)


def test_times_and_numbers_are_read_as_the_source_declares() -> None:
    validator = Validator(
        replace(
            _source(counterparty_id=Take("merchant_id", strip_prefix="M")),
            zone="Europe/Berlin",
            numbers=NumberFormat(",", "."),
            negative_amounts="refund",
            absurd_amount=Decimal("2000.00"),
        )
    )
    places = {"home_lat": "29,7", "home_lon": "-95,2"}
    sound = message(timestamp="2024-03-31 01:30:00", amount="-1.234,50", **places)
    assert isinstance(validator.validate(sound, ARRIVED), Valid)
    skipped = message(timestamp="2024-03-31 02:30:00", amount="-2.000,01", **places)
    assert refused(validator, skipped).reasons == ["unreadable_time", "absurd_amount"]


def test_a_source_feature_that_is_no_finite_number_is_refused() -> None:
    version = replace(SIMULATOR.versions[0], features={"latitude": "home_lat", "device": "ip"})
    validator = Validator(replace(SIMULATOR, versions=(version,)))
    for value in (1, "-1.5e3", None, ""):
        assert isinstance(validator.validate(message(ip=value), ARRIVED), Valid), value
    for value in ("23.101.106.82", "1e999", "NaN", "1E+2"):
        reject = refused(validator, message(ip=value))
        assert (reject.reasons, reject.field) == (["unreadable_feature"], "ip"), value
        assert reject.rules == ["a source feature is no finite number: device"]


_BLANKS = "a" + " " * 1_000_000 + "b"
"""The time of a careless regular expression grows with the square of the blanks."""


def test_the_flags_of_a_feed_are_checked() -> None:
    validator = Validator(source("card_feed"))
    sound = {
        "transaction_id": "t1",
        "timestamp": "2026-01-01T00:00:00Z",
        "amount": 1,
        "currency": "EUR",
        "customer_id": "c1",
    }

    def verdict(flags: object) -> Valid | Rejected:
        return validator.validate(json.dumps(sound | {"risk_flags": flags}).encode(), ARRIVED)

    for flags in (["a", None, 1, {"b": 2}], "a, b", "[", "", []):
        assert isinstance(verdict(flags), Valid), flags
    for flags, reason in (
        (["a\x00"], "unprintable_text"),
        (["x" * 2_000], "overlong_text"),
        (_BLANKS, "overlong_text"),
    ):
        found = verdict(flags)
        assert isinstance(found, Rejected)
        assert (found.reject.reasons, found.reject.field) == ([reason], "risk_flags")


def test_the_validation_of_messages_loads_no_heavy_library() -> None:
    code = "import sys, streaming.validation; print(sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=_REPO, check=True, capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in ast.literal_eval(ran.stdout)}
    assert "streaming" in loaded
    assert loaded.isdisjoint({"pyspark", "pyarrow", "pandas", "numpy", "airflow", "boto3"})
