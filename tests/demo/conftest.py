"""A whole platform that runs only while a module watches it: an idle Airflow slows other tests."""

import shutil
from collections.abc import Iterator

import pytest

from contracts.settings import Settings, load_settings
from embedded import platform as embedded_platform
from embedded import secrets


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Start all services of an instance; at the end stop them."""
    state, shared = tmp_path_factory.mktemp("line") / "state", load_settings().port_base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_STATE_DIR", str(state))
        patch.setenv("TOLLGATE_PORT_BASE", str(shared + 80))
        secrets.ensure(load_settings().secrets_dir)
        embedded_platform.up(load_settings(), ())
        try:
            yield load_settings()
        finally:
            embedded_platform.down(load_settings())
    shutil.rmtree(state, ignore_errors=True)
