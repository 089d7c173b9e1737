"""The application behind a real server, on a free port of the loopback address."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from contracts.settings import HOST


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    """Serve an application, which is not started: no thread looks for champions. Give its port."""
    with socket.create_server((HOST, 0)) as listener:
        config = uvicorn.Config(app, lifespan="off", access_log=False, log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join()
