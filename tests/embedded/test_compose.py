"""What docker-compose.yml promises, without a container engine."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.settings import HOST, PORT_OFFSETS, REPO, load_settings
from embedded import console, secrets
from embedded.places import KAFKA_LOCK, OPENSEARCH_LOCK

_TEXT = (REPO / "docker-compose.yml").read_text()
_COMPOSE: dict[str, Any] = yaml.safe_load(_TEXT)
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_PORT_BASE = 15400
_DASHBOARDS = 5601


def _command(service: str) -> str:
    return " ".join(_SERVICES[service].get("command", []))


def test_the_profiles_have_the_services_of_the_stream_and_of_decisions() -> None:
    of_profile = {name for name, one in _SERVICES.items() if one.get("profiles") == ["stream"]}
    assert of_profile == {
        "stream",
        "indexer",
        "scorer",
        "updater",
        "opensearch",
        "dashboards",
        "dashboards-import",
    }
    serve = {name for name, one in _SERVICES.items() if one.get("profiles") == ["serve"]}
    assert serve == {"api"}
    assert _SERVICES["valkey"]["profiles"] == ["stream", "serve"]
    assert set(_SERVICES) - of_profile - serve == {"platform", "valkey"}


def test_images_are_pinned_to_the_version_of_the_embedded_opensearch() -> None:
    (version,) = re.findall(
        r"^org\.opensearch:opensearch:(\S+) ", OPENSEARCH_LOCK.read_text(), re.M
    )
    foreign = {one["image"] for one in _SERVICES.values() if "build" not in one}
    (valkey,) = foreign - {
        f"opensearchproject/{name}:{version}" for name in ("opensearch", "opensearch-dashboards")
    }
    assert re.fullmatch(r"valkey/valkey:\d+\.\d+\.\d+", valkey)
    assert {one["image"] for one in _SERVICES.values() if "build" in one} == {"tollgate/platform"}


def test_services_listen_on_loopback_at_the_ports_of_the_platform() -> None:
    assert all(one["network_mode"] == "host" for one in _SERVICES.values())
    assert not any("ports" in one for one in _SERVICES.values())
    assert _SERVICES["opensearch"]["environment"]["network.host"] == HOST
    assert _SERVICES["dashboards"]["environment"]["SERVER_HOST"] == HOST
    assert f"--bind {HOST}" in _command("valkey")
    assert set(re.findall(r"(?:https?|redis)://([\w.]+)", _TEXT)) == {HOST}
    parts = ("opensearch", "opensearch-transport", "indexer", "scorer", "updater", "api", "valkey")
    ports = {_PORT_BASE + PORT_OFFSETS[part] for part in parts}
    named = {int(port) for port in re.findall(r"(?<=[:\"])\d{4,5}\b", _TEXT)}
    assert named == ports | {_DASHBOARDS}


def test_long_running_services_have_a_health_check_and_what_they_need_is_healthy() -> None:
    for name, one in _SERVICES.items():
        assert ("healthcheck" in one) == (name != "dashboards-import"), name
        for needed, condition in one.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in _SERVICES[needed]


def test_volumes_and_programs_exist() -> None:
    mounts = [mount for one in _SERVICES.values() for mount in one.get("volumes", [])]
    assert {mount.partition(":")[0] for mount in mounts} == set(_COMPOSE["volumes"])
    programs = re.findall(r"-m,? ([\w.]+)", _TEXT)
    of_decisions = {"serving", "serving.access.users", "serving.fill", "serving.updater"}
    assert set(programs) == {"embedded", "streaming.indexer", "streaming.scorer", *of_decisions}
    assert all(importlib.util.find_spec(program) for program in programs)
    (file,) = re.findall(r"file=@(\S+)", _command("dashboards-import"))
    assert (REPO / file).is_file()
    assert "embedded.setup kafka" in (REPO / "docker/platform/Dockerfile").read_text()
    assert KAFKA_LOCK.is_file()


def test_no_password_is_in_the_file() -> None:
    assert not re.search(r"password\s*[:=]|secret\s*[:=]|passwords__", _TEXT, re.IGNORECASE)


def test_the_stream_shares_the_passwords_of_the_platform(tmp_path: Path) -> None:
    """Its state folder is in the volume of the platform, and its secrets are a link."""
    assert _SERVICES["stream"]["environment"]["TOLLGATE_STATE_DIR"] == "/tollgate/var/stream"
    assert "ln -sfn ../secrets var/stream/secrets" in _command("stream")
    secrets.ensure(tmp_path / "secrets")
    (tmp_path / "stream").mkdir()
    (tmp_path / "stream" / "secrets").symlink_to("../secrets")
    before = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}

    secrets.ensure(tmp_path / "stream" / "secrets")

    assert {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()} == before


def test_valkey_has_the_generated_password_and_loses_no_payment_to_make_room(
    tmp_path: Path,
) -> None:
    secrets.ensure(tmp_path)
    command = _command("valkey")
    assert "/tollgate/var/secrets/online_store" in command
    assert (tmp_path / "online_store").is_file()
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    for name in ("platform", "updater", "api"):
        url = _SERVICES[name]["environment"]["TOLLGATE_API__STORE_URL"]
        assert url == f"redis://{HOST}:{_PORT_BASE + PORT_OFFSETS['valkey']}"


def test_a_platform_that_does_not_run_is_unhealthy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOLLGATE_STATE_DIR", str(tmp_path))
    assert "status" in _SERVICES["platform"]["healthcheck"]["test"]
    assert console.print_status(load_settings()) != 0
