"""Instances of the platform beside the test platform, for tests that harm what they run on."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.settings import Settings, load_settings
from embedded import platform, secrets


@contextmanager
def environment_of(state: Path, port_base: int) -> Iterator[None]:
    """Let code that reads the settings itself find the instance in folder `state`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_STATE_DIR", str(state))
        patch.setenv("TOLLGATE_PORT_BASE", str(port_base))
        yield


@contextmanager
def own_instance(state: Path, ports: int) -> Iterator[Settings]:
    """Give the settings of an instance in folder `state`; at the end stop it and remove the folder.

    Its ports begin `ports` above those of the test platform. Nothing of it is started.
    """
    with environment_of(state, load_settings().port_base + ports):
        secrets.ensure(load_settings().secrets_dir)
        settings = load_settings()
    try:
        yield settings
    finally:
        platform.down(settings)
        shutil.rmtree(state, ignore_errors=True)
