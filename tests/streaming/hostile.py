"""Messages with one value of every strange kind, and lines that are no payment."""

import json

from tests.streaming.conftest import changed

_VALUES: dict[str, list[object]] = {
    "timestamp": [
        *("2026-01-01T00:02:28.123Z", "2026-01-01T00:02:28.123456+02:00", "2026-01-01 00:02:28"),
        *("2026-01-01T00:02:28.1Z", "2026-01-01T00:02:28.1234567Z", "2026-01-01T00:02Z"),
        *("2026-01-01t00:02:28z", "2026-01-01T00:02:28+0200", "2026-01-01T00:02:28-00:00"),
        *("2026-01-01T00:02:28+18:00", "2026-01-01T00:02:28+18:01", "2026-01-01T24:00:00Z"),
        *("2026-02-30T00:00:00Z", "2024-02-29T00:00:00Z", "2026-01-01T00:00:60Z", "2026-W01-1"),
        *("+12026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z"),
        *("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "1999-12-31T23:59:59Z"),
        *("2000-01-01T00:00:00Z", "2099-12-31T23:59:59Z", "2100-01-01T00:00:00Z"),
        *("2026-05-31T23:59:59Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00.001Z"),
        *("2026-06-01T00:05:00Z", "2026-06-01T00:05:00.000001Z", "2026-06-01T00:06:00+00:00"),
        *(
            "\uff12\uff10\uff12\uff16-01-01T00:00:00Z",
            " 2026-01-01T00:02:28Z ",
            "",
            None,
            ...,
            1_767_225_600,
            True,
        ),
    ],
    "amount": [
        *(0, -0.0, 1, 12.5, "12.50", "+12.50", "-3", "1_000", "1,000.00", "12.", ".5", "0x10"),
        *("1e2", "1E+2", "1e+02", "1e+2", "1E+02", "1e-2", "1e-3"),
        *("12.500000000", "12.505", "99999999.99", "100000000"),
        *("100000000.01", "-100000000.01", "9" * 17, "0e999", "1e999", "1e-999", "1e1000", "NaN"),
        *(
            "Infinity",
            float("nan"),
            float("inf"),
            "\uff11\uff12",
            " 12.50\u00a0",
            "twelve",
            [],
            {},
            None,
        ),
        *(None, ..., "9" * 400, "0." + "0" * 400, "0." + "0" * 400 + "1"),
    ],
    "currency": ["usd", " USD\t", "JPY", "KWD", "XXX", "ZZZ", "EURO", "", None, ..., "DEM", 840],
    "country": ["us", "QQ", " US ", "", None, ..., "YU"],
    "channel": ["APP", "fax", " app", "", None, ..., "unknown", "refund"],
    "type": ["Purchase", "refund", "sale", ...],
    "transaction_id": ["", " ", "\u200b", 17, "x" * 256, "x" * 257, "é" * 256, "e1\x00", "4E+18"],
    "customer_id": [
        "",
        "  ",
        "\u00a0",
        17,
        None,
        ...,
        "4.78E+18",
        "C1\x7f",
        "C1\x85",
        "Cafe\u0301",
    ],
    "card_number": ["4.78947E+18", 4809124250899617, "x" * 300, ...],
    "merchant_id": ["C0000001", "X1", "", ..., "M1\x1f", "4.7E+18"],
    "merchant_category_code": ["x" * 256, "x" * 257, "a\x9bb", ["a", "b"]],
    "device_id": ["x" * 257, "\u202ea", "4.7E+18"],
    "city": ["x" * 2_000, "a\x00b", ...],
    "home_lat": [90, -90, 90.0001, "41.5", "1.2E+1", 1e-5, "1e-0001", "1e1000", "NaN", "north", ""],
    "home_lon": [180, -180, 180.1, "0.5e2", "+7", ..., None, True],
}
_LINES = (
    b"{}",
    b"[]",
    b"17",
    b"null",
    b'"text"',
    b"\xef\xbb\xbf{}",
    b'{"transaction_id":',
    b'{"transaction_id":"a","transaction_id":"b"}',
    b'{"a":"\xff"}',
    b'{"a":' + b"[" * 63 + b"]" * 63 + b"}",
    b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    b'{"a":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
    b'{"a":"\\ud83d"}',
    b'{"a":"\\ud83d\\ude00"}',
    b'{"\\udc00":1}',
    b'{"a":01}',
    b"{'a':1}",
    b"x" * 100,
)


def hostile_messages() -> list[bytes]:
    """Return messages with one value changed each, others with a sound payment in other writing."""
    sound = json.dumps(changed()).encode()
    lines = [
        json.dumps(changed(**{field: value}), ensure_ascii=len(str(value)) % 2 == 0).encode()
        for field, values in _VALUES.items()
        for value in values
    ]
    members = [line[1:] for line in _LINES if line.startswith(b"{") and len(line) > 2]
    return [
        *lines,
        sound,
        b"\xef\xbb\xbf" + sound,
        sound[:-1] + b',"amount":"twelve"}',
        b'{"amount":"twelve",' + sound[1:],
        json.dumps({"timestamp": "yesterday", "amount": -5, "channel": "fax"}).encode(),
        *(sound[:-1] + b"," + member for member in members),
        *_LINES,
    ]
