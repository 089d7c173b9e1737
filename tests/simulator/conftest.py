"""One small world for all tests of the simulator."""

import pytest

from simulator.rows import Feed
from simulator.settings import Settings
from simulator.world import World, make_world

CUSTOMERS = 2_000


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(Settings(customers=CUSTOMERS))


@pytest.fixture(scope="session")
def feed(world: World) -> Feed:
    return Feed(world)
