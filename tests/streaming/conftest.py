"""A sound payment of the simulated world, and a day with much dirt."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pytest

from simulator.days import Delivery, deliver
from simulator.dirt import KINDS
from simulator.rows import Feed
from simulator.settings import DirtSettings, Settings
from simulator.world import make_world
from sources.simulator import SIMULATOR
from streaming.validation import Validator

ARRIVED: Final = datetime(2026, 6, 1, tzinfo=UTC)
_DAY: Final = 9
_RATE: Final = 0.02


@dataclass(frozen=True)
class Day:
    """The messages of a day, and its dirt ledger."""

    delivery: Delivery

    @property
    def messages(self) -> list[bytes]:
        """Return each line as the message that a producer sends."""
        lines = (line for batch in self.delivery.lines for line in batch.to_pylist())
        return [line.removesuffix("\n").encode() for line in lines]


@pytest.fixture(scope="session")
def dirty_day() -> Day:
    """Return some 2,000 payments, a fiftieth with each kind of dirt."""
    dirt = DirtSettings(rates={kind.name: _RATE for kind in KINDS})
    world = make_world(Settings(customers=900, dirt=dirt))
    return Day(deliver(world, Feed(world), _DAY, "jsonl"))


@pytest.fixture(scope="session")
def validator() -> Validator:
    return Validator(SIMULATOR)


def changed(**changes: object) -> dict[str, object]:
    """Return a sound payment with some values changed; a field that is Ellipsis is absent."""
    return {name: value for name, value in (SOUND | changes).items() if value is not ...}


SOUND: Final[dict[str, object]] = {
    "transaction_id": "2c829abe1f4532e1",
    "timestamp": "2026-01-01T00:02:28Z",
    "amount": 212.18,
    "type": "purchase",
    "customer_id": "C0000020",
    "customer_name": "Nicole Cooke",
    "email": "lewismadison@example.net",
    "address": "864 Waller Wells Suite 141, East Michael",
    "card_number": "4809124250899617",
    "merchant_id": "M0000079",
    "merchant_name": "Wilson-Ruiz",
    "merchant_category_code": "7011",
    "currency": "USD",
    "country": "US",
    "city": "Los Angeles",
    "home_lat": 29.73735,
    "home_lon": -95.29905,
    "channel": "app",
    "payment_method": "card",
    "device_id": "1500857c",
    "ip": "23.101.106.82",
}
