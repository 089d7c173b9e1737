"""A whole platform that runs only while a module watches it: an idle Airflow slows other tests."""

from collections.abc import Iterator

import pytest

from contracts.settings import Settings
from embedded.platform import up
from tests.instances import own_instance


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Start all services of an instance; at the end stop them."""
    with own_instance(tmp_path_factory.mktemp("line"), ports=80) as settings:
        up(settings)
        yield settings
