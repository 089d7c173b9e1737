"""OpenSearch, an optional service: one node on loopback, without users and TLS.

The jars have no security plugin. Only programs of this machine reach the node, and what is indexed
is masked before.
"""

from __future__ import annotations

import json
from typing import Any

from contracts.settings import HOST, Settings
from embedded.places import java_environment, python
from embedded.services.common import environment, http_ok, owns_port
from embedded.supervisor import Launch, Service

_LOG = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


def _properties(settings: Settings) -> dict[str, Any]:
    return {
        "network.host": HOST,
        "transport.port": settings.port("opensearch-transport"),
        "discovery.type": "single-node",
        # An index that no template describes is refused.
        "action.auto_create_index": "rejects-*",
        "action.destructive_requires_name": True,
        # A full disk of a developer does not make the indices read-only.
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }


def _launch(settings: Settings) -> Launch:
    home = settings.state_dir / "opensearch"
    config = home / "config"
    config.mkdir(parents=True, exist_ok=True, mode=0o700)
    # JSON is YAML.
    (config / "opensearch.yml").write_text(json.dumps(_properties(settings), indent=1))
    (config / "log4j2.properties").write_text(_LOG)
    argv = [python(), "-m", "embedded.opensearch_node", str(home)]
    argv.append(str(settings.port("opensearch")))
    return Launch(argv, environment(settings, java_environment()))


def _ready(settings: Settings, pid: int, started: float) -> bool:
    """Return whether this process answers, and has read its indices."""
    port = settings.port("opensearch")
    health = f"http://{HOST}:{port}/_cluster/health?wait_for_status=yellow&timeout=1s"
    return owns_port(pid, started, port) and http_ok(health) is not None


def service(settings: Settings) -> Service:
    """Declare the OpenSearch node."""
    return Service(
        name="opensearch",
        launch=lambda: _launch(settings),
        ready=lambda pid, started: _ready(settings, pid, started),
        port=settings.port("opensearch"),
        url=settings.opensearch.url,
        optional=True,
    )
