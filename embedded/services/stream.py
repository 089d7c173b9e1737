"""The services that read or write topics of the stream, all optional."""

from __future__ import annotations

from contracts.settings import HOST, Settings
from embedded.places import python
from embedded.services.common import environment, http_ok, owns_port
from embedded.supervisor import Launch, Service


def validator(settings: Settings) -> Service:
    """Declare the validation service."""
    return _service(settings, "validator", ("kafka",))


def indexer(settings: Settings) -> Service:
    """Declare the indexer of rejects."""
    return _service(settings, "indexer", ("kafka", "opensearch"))


def scorer(settings: Settings) -> Service:
    """Declare the scorer of validated payments."""
    return _service(settings, "scorer", ("kafka", "spark"))


def updater(settings: Settings) -> Service:
    """Declare the updater of the online store."""
    return _service(settings, "updater", ("kafka", "postgres"), "serving")


def _service(
    settings: Settings, name: str, needs: tuple[str, ...], package: str = "streaming"
) -> Service:
    """Declare the program `<package>.<name>`; its address is that of its metrics."""
    port = settings.port(name)
    address = f"http://{HOST}:{port}"
    argv = [python(), "-m", f"{package}.{name}", "--port", str(port)]
    return Service(
        name=name,
        launch=lambda: Launch(argv, environment(settings)),
        ready=lambda pid, started: (
            http_ok(f"{address}/health") is not None and owns_port(pid, started, port)
        ),
        needs=needs,
        port=port,
        url=f"{address}/metrics",
        optional=True,
    )
