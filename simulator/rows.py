"""Payments as the rows of a feed: every column is text, as it is in a raw delivery."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator.categories import CATEGORIES
from simulator.customers import DEVICES
from simulator.payments import CARD, CHANNELS, DAY_SECONDS, METHODS, NONE, POS, TYPES, Payments
from simulator.places import COUNTRIES
from simulator.world import FRAUD_DEVICES, World

NUMBERS: Final = frozenset({"amount", "lat", "lon", "home_lat", "home_lon"})
"""Columns that JSON lines write as numbers."""
DRIFT_COLUMN: Final = "authentication"
LATEST_DAYS: Final = 3
"""Most days between a payment and the file that delivers it."""
_MIX: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_HEX: Final = np.array([f"{byte:02x}" for byte in range(256)], "S2")

_Position = Callable[[Payments], npt.NDArray[np.int64]]
"""Position of each payment's text in the list of a column's texts, -1 for none."""


class _Texts:
    """A column whose rows repeat the texts of a list."""

    def __init__(self, name: str, texts: Sequence[str], position: _Position) -> None:
        # Arrow writes unset memory to a Parquet file when a dictionary has a text twice.
        encoded = pa.array(texts).dictionary_encode()
        self._name = name
        self._texts = encoded.dictionary
        self._number = encoded.indices.to_numpy()
        self._position = position

    def of(self, payments: Payments) -> pa.DictionaryArray:
        """Return the text of each payment, or null."""
        position = self._position(payments)
        numbers = pa.array(self._number[position], mask=position < 0)
        return pa.DictionaryArray.from_arrays(numbers, self._texts)

    def members(self, values: pa.DictionaryArray) -> pa.Array:
        """Return each text as a member of a JSON object; null is empty."""
        return pc.fill_null(self._json_members.take(values.indices), "")

    @cached_property
    def _json_members(self) -> pa.Array:
        """The member of each text; Parquet needs none."""
        return pa.array([json_member(self._name, text) for text in self._texts.to_pylist()])


class Feed:
    """Writes payments of one world as rows; it holds the texts that rows repeat."""

    def __init__(self, world: World) -> None:
        """Make the texts of customers, merchants, devices, addresses and times once.

        Args:
            world: the world whose payments are written.
        """
        self._world = world
        people, shops = world.customers, world.merchants
        cities = [city.name for country in COUNTRIES for city in country.cities]
        customer_ids = [f"C{number:07d}" for number in range(len(people))]
        counterparty_ids = [f"M{number:07d}" for number in range(len(shops))] + customer_ids
        codes = [CATEGORIES[number].code for number in shops.category.tolist()]
        clock = [
            f"T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"
            for second in range(DAY_SECONDS)
        ]
        devices = [
            f"{number * 2_654_435_761 % (1 << 32):08x}"
            for number in range(len(people) * DEVICES + FRAUD_DEVICES)
        ]
        self._clock = pa.array(clock)
        # Endings of amounts: none, then those of two decimals, then those of three.
        hundredths = [f".{part:02d}" for part in range(100)]
        thousandths = [f".{part:03d}" for part in range(1_000)]
        self._endings = pa.array(["", *hundredths, *thousandths])
        merchants = len(shops)
        columns: dict[str, tuple[Sequence[str], _Position]] = {
            "type": (TYPES, lambda p: p.type),
            "customer_id": (customer_ids, lambda p: p.customer),
            "customer_name": (people.name, lambda p: p.customer),
            "email": (people.email, lambda p: p.customer),
            "address": (people.address, lambda p: p.customer),
            "card_number": ([number for own in people.cards for number in own], lambda p: p.card),
            "merchant_id": (counterparty_ids, lambda p: p.counterparty),
            "merchant_name": (shops.name + people.name, lambda p: p.counterparty),
            "merchant_category_code": (
                codes,
                lambda p: np.where(p.counterparty < merchants, p.counterparty, NONE),
            ),
            "currency": ([country.currency for country in COUNTRIES], lambda p: p.country),
            "country": ([country.code for country in COUNTRIES], lambda p: p.country),
            "city": (cities, lambda p: p.city),
            "lat": (_degrees(shops.latitude), _at_counter),
            "lon": (_degrees(shops.longitude), _at_counter),
            "home_lat": (_degrees(people.home_lat), lambda p: p.customer),
            "home_lon": (_degrees(people.home_lon), lambda p: p.customer),
            "channel": (CHANNELS, lambda p: p.channel),
            "payment_method": (METHODS, lambda p: p.method),
            "device_id": (devices, lambda p: p.device),
            "ip": (world.addresses(), lambda p: p.ip),
            DRIFT_COLUMN: (("none", "3ds"), _is_authenticated),
        }
        self._columns = {
            name: _Texts(name, texts, position) for name, (texts, position) in columns.items()
        }

    def rows(self, payments: Payments, ids: pa.Array, day: int) -> dict[str, pa.Array]:
        """Return the columns of payments by name, in the order of the feed.

        Args:
            payments: the payments; seconds below 0 lie in earlier days, at most LATEST_DAYS.
            ids: their identifiers.
            day: the day whose file they are in.
        """
        columns: dict[str, pa.Array] = {
            "transaction_id": ids,
            "timestamp": self._timestamps(payments, day),
            "amount": self._amounts(payments),
        }
        has_drifted = day >= self._world.settings.dirt.schema_drift_day
        for name, texts in self._columns.items():
            if name != DRIFT_COLUMN or has_drifted:
                columns[name] = texts.of(payments)
        return columns

    def json_lines(self, columns: dict[str, pa.Array]) -> pa.Array:
        """Return each row as a JSON object and a line break; a column without value is absent."""
        parts = []
        for name, values in columns.items():
            if name in self._columns:
                parts.append(self._columns[name].members(values))
            else:
                quote = "" if name in NUMBERS else '"'
                parts += [f',"{name}":{quote}', values, quote]
        parts[0] = parts[0].replace(",", "{", 1)
        return pc.binary_join_element_wise(*parts, "}\n", "")

    def _timestamps(self, payments: Payments, day: int) -> pa.Array:
        earlier, second = np.divmod(payments.second, DAY_SECONDS)
        today = self._world.date(day)
        dates = pa.array([str(today - timedelta(days=lag)) for lag in range(LATEST_DAYS + 1)])
        return pc.binary_join_element_wise(
            dates.take(pa.array(-earlier)), self._clock.take(pa.array(second)), ""
        )

    def _amounts(self, payments: Payments) -> pa.Array:
        digits = self._world.digits[payments.country]
        whole = payments.amount // 10**digits
        part = payments.amount % 10**digits
        first = np.select([digits == 0, digits == 2], [0, 1], 101)
        return pc.binary_join_element_wise(
            pc.cast(pa.array(whole), pa.string()), self._endings.take(pa.array(first + part)), ""
        )


def identifiers(seed: int, day: int, rows: int) -> pa.Array:
    """Return identifiers of a T and 16 hexadecimal digits, unique over all days of a world.

    The bits of day and row are mixed by a bijection (the finalizer of SplitMix64), so that neither
    time nor fraud shows in an identifier. Without the letter, one of 2,000 would have digits only,
    as a card number has.
    """
    bits = np.uint64(day << 32) + np.arange(rows, dtype=np.uint64)
    bits = bits + np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_MIX[0])
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_MIX[1])
    bits = bits ^ (bits >> np.uint64(31))
    text = np.full((rows, 17), b"T", "S1")
    text[:, 1:] = _HEX[bits.astype(">u8").view(np.uint8)].view("S1").reshape(rows, 16)
    offsets = np.arange(rows + 1, dtype=np.int32) * 17
    return pa.Array.from_buffers(
        pa.string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(text.tobytes())]
    )


def json_member(name: str, text: str) -> str:
    """Return a member of a JSON object with the comma before it.

    >>> json_member("amount", "1.50"), json_member("city", "Málaga")
    (',"amount":1.50', ',"city":"Málaga"')
    """
    value = text if name in NUMBERS else json.dumps(text, ensure_ascii=False)
    return f',"{name}":{value}'


def json_object(row: dict[str, str | None]) -> str:
    """Return a row as a JSON object in ASCII; a text that is no number is quoted."""
    members = []
    for name, text in row.items():
        if text is not None:
            is_number = name in NUMBERS and text.lstrip("-").replace(".", "", 1).isdigit()
            members.append(f'"{name}":{text if is_number else json.dumps(text)}')
    return "{" + ",".join(members) + "}"


def _is_authenticated(payments: Payments) -> npt.NDArray[np.int64]:
    return np.where((payments.channel != POS) & (payments.method == CARD), 1, 0)


def _at_counter(payments: Payments) -> npt.NDArray[np.int64]:
    return np.where(payments.channel == POS, payments.counterparty, NONE)


def _degrees(values: npt.NDArray[np.float64]) -> list[str]:
    return [f"{value:.5f}" for value in values.tolist()]
