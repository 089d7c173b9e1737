"""The decision API, an optional service."""

from __future__ import annotations

from contracts.settings import HOST, Settings
from embedded.places import python
from embedded.services.common import command, environment, http_ok, owns_port
from embedded.supervisor import Launch, Service

# A decision scores one row, for which more threads take longer.
VARIABLES = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def service(settings: Settings) -> Service:
    """Declare the decision API."""
    port = settings.port("api")
    address = f"http://{HOST}:{port}"
    argv = [python(), "-m", "serving", "--port", str(port)]

    def launch() -> Launch:
        command([python(), "-m", "serving.access.users"], environment(settings))
        return Launch(argv, environment(settings, VARIABLES))

    return Service(
        name="api",
        launch=launch,
        ready=lambda pid, started: (
            http_ok(f"{address}/health/live") is not None and owns_port(pid, started, port)
        ),
        needs=("postgres", "mlflow"),
        port=port,
        url=f"{address}/docs",
        optional=True,
    )
