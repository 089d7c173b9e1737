"""The platform's promises, on a second instance with Postgres and the S3 server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import psycopg
import pytest
from botocore.exceptions import ClientError

from contracts.settings import REPO, S3Role, Settings, load_settings
from embedded import platform, preflight
from embedded.services import all_services
from tests.instances import own_instance

pytestmark = [pytest.mark.postgres, pytest.mark.random_order(disabled=True)]


def _cli(settings: Settings, *argv: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "TOLLGATE_STATE_DIR": str(settings.state_dir),
        "TOLLGATE_PORT_BASE": str(settings.port_base),
    }
    return subprocess.run(
        [sys.executable, "-m", "embedded", *argv],
        cwd=REPO,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Give settings of an instance that these tests may harm; it is not started yet."""
    with own_instance(tmp_path_factory.mktemp("own") / "state", ports=20) as settings:
        yield settings


@pytest.fixture
def running(own: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Start Postgres and the S3 server of the own instance; return it with its secrets."""
    started = _cli(own, "up", "--only", "postgres,s3")
    assert started.returncode == 0, started.stderr
    monkeypatch.setenv("TOLLGATE_STATE_DIR", str(own.state_dir))
    monkeypatch.setenv("TOLLGATE_PORT_BASE", str(own.port_base))
    return load_settings()


def _client(settings: Settings, role: S3Role) -> "boto3.client":
    access, secret = settings.s3.keys(role)
    return boto3.client(
        "s3",
        endpoint_url=settings.s3.endpoint,
        region_name=settings.s3.region,
        aws_access_key_id=access,
        aws_secret_access_key=secret.get_secret_value(),
    )


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ready_again(settings: Settings, name: str, old: int) -> None:
    deadline = time.monotonic() + 180
    while True:
        state = platform.read_status(settings)["services"][name]
        if state["state"] == "ready" and state["pid"] != old:
            return
        assert time.monotonic() < deadline, state
        time.sleep(0.1)


def test_a_used_port_is_reported_before_any_service_starts(own: Settings) -> None:
    with socket.create_server(("127.0.0.1", own.port("s3"))):
        refused = _cli(own, "up", "--only", "postgres,s3")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Port {own.port('s3')} (s3) is taken by another program")
    assert "TOLLGATE_PORT_BASE" in refused.stderr
    assert platform.read_status(own)["services"] == {}


def test_too_little_disk_or_memory_is_reported_with_the_remedy(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = all_services(own)
    monkeypatch.setattr(preflight, "_DISK_MIB", 10**9)
    with pytest.raises(preflight.PreflightError, match=r"MiB are free.*TOLLGATE_STATE_DIR"):
        preflight.check(own, services)
    monkeypatch.setattr(preflight, "_DISK_MIB", 1)
    monkeypatch.setattr(preflight, "_OTHER_MIB", 10**9)
    with pytest.raises(preflight.PreflightError, match=r"memory are available.*--only"):
        preflight.check(own, services)


@pytest.mark.parametrize("name", ["postgres", "s3"])
def test_a_killed_service_is_restarted_with_its_data(running: Settings, name: str) -> None:
    pid = platform.read_status(running)["services"][name]["pid"]
    os.kill(pid, signal.SIGKILL)
    _ready_again(running, name, pid)


def test_down_and_up_lose_nothing_and_down_leaves_nothing(running: Settings) -> None:
    with psycopg.connect(running.warehouse.dsn("loader")) as connection:
        connection.execute("create table staging.kept as select 42 as answer")
    _client(running, "lander").put_object(
        Bucket=running.s3.raw_bucket, Key="kept", Body=b"42", IfNoneMatch="*"
    )
    pids = [state["pid"] for state in platform.read_status(running)["services"].values()]
    assert _cli(running, "down").returncode == 0
    assert not any(_lives(pid) for pid in pids)
    shown = _cli(running, "status", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["running"]) == (3, False)
    assert _cli(running, "up", "--only", "postgres,s3").returncode == 0
    with psycopg.connect(running.warehouse.dsn("transformer")) as connection:
        assert connection.execute("select answer from staging.kept").fetchone() == (42,)
    kept = _client(running, "processor").get_object(Bucket=running.s3.raw_bucket, Key="kept")
    assert kept["Body"].read() == b"42"


def test_a_killed_supervisor_is_reported_and_up_starts_clean(running: Settings) -> None:
    status = platform.read_status(running)
    old = status["services"]["postgres"]["pid"]
    os.kill(status["pid"], signal.SIGKILL)
    while _lives(status["pid"]):
        time.sleep(0.05)
    shown = _cli(running, "status")
    assert shown.returncode == 3
    assert "`make up` clears what it left" in shown.stdout
    assert _cli(running, "up", "--only", "postgres,s3").returncode == 0
    assert platform.read_status(running)["services"]["postgres"]["pid"] != old
    assert not _lives(old)


def test_status_shows_state_port_url_and_memory(running: Settings) -> None:
    rows = json.loads(_cli(running, "status", "--json").stdout)["services"]
    by_name = {row["name"]: row for row in rows}
    assert by_name["postgres"]["state"] == "ready"
    assert by_name["s3"]["port"] == running.port("s3")
    assert by_name["s3"]["url"] == running.s3.endpoint
    assert by_name["postgres"]["resident_mib"] > 5


def test_no_secret_is_in_a_log_or_on_a_command_line(running: Settings) -> None:
    commands = "\n".join(
        " ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
    )
    logs = "\n".join(file.read_text() for file in (running.state_dir / "logs").iterdir())
    for file in running.secrets_dir.iterdir():
        assert file.read_text().strip() not in logs, file.name
        assert file.read_text().strip() not in commands, file.name


def test_each_warehouse_role_has_its_privileges_only(running: Settings) -> None:
    with psycopg.connect(running.warehouse.dsn("transformer"), autocommit=True) as transformer:
        transformer.execute("create table production.shown as select 1 as x")
    with psycopg.connect(running.warehouse.dsn("reader"), autocommit=True) as reader:
        assert reader.execute("select x from production.shown").fetchone() == (1,)
        for statement in (
            "select * from staging.kept",
            "create table production.mine (x int)",
            "delete from production.shown",
            "create table public.mine (x int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
    with (
        psycopg.connect(running.warehouse.dsn("loader"), autocommit=True) as loader,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        loader.execute("create table production.mine (x int)")
    own = running.warehouse.developer_schema
    with psycopg.connect(running.warehouse.dsn("developer"), autocommit=True) as developer:
        developer.execute(f"create table {own}.mine as select x from production.shown".encode())
        for statement in ("delete from production.shown", "create schema production_of_mine"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                developer.execute(statement.encode())
    wrong = running.warehouse.dsn("loader").replace("@", "x@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_each_s3_role_has_its_privileges_only(running: Settings) -> None:
    raw, lake = running.s3.raw_bucket, running.s3.lake_bucket
    _client(running, "lander").put_object(Bucket=raw, Key="a", Body=b"a")
    _client(running, "processor").put_object(Bucket=lake, Key="b", Body=b"b")
    assert _client(running, "processor").get_object(Bucket=raw, Key="a")["Body"].read() == b"a"
    assert _client(running, "reader").get_object(Bucket=lake, Key="b")["Body"].read() == b"b"
    refused = [
        lambda: _client(running, "lander").delete_object(Bucket=raw, Key="a"),
        lambda: _client(running, "lander").get_object(Bucket=lake, Key="b"),
        lambda: _client(running, "processor").put_object(Bucket=raw, Key="c", Body=b""),
        lambda: _client(running, "reader").get_object(Bucket=raw, Key="a"),
        lambda: _client(running, "reader").put_object(Bucket=lake, Key="c", Body=b""),
    ]
    for attempt in refused:
        with pytest.raises(ClientError, match="AccessDenied"):
            attempt()


def test_a_changed_key_reaches_the_server(running: Settings) -> None:
    key = running.secrets_dir / "s3_reader"
    before = key.read_text()
    key.write_text("another-key-of-the-reader\n")
    assert _cli(running, "down").returncode == 0
    assert _cli(running, "up", "--only", "s3").returncode == 0
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        _client(running, "reader").list_objects_v2(Bucket=running.s3.lake_bucket)
    assert _client(load_settings(), "reader").list_objects_v2(Bucket=running.s3.lake_bucket)
    assert _cli(running, "down").returncode == 0
    key.write_text(before)


def test_exports_have_the_read_only_roles(running: Settings) -> None:
    exports = _cli(running, "env").stdout
    assert running.warehouse.password("reader").get_secret_value() in exports
    for secret in ("warehouse_loader", "warehouse_transformer", "s3_processor", "mlflow_admin"):
        assert (running.secrets_dir / secret).read_text().strip() not in exports


def test_exports_for_dbt_have_the_developer_role(running: Settings) -> None:
    exports = _cli(running, "env", "--role", "developer").stdout
    assert running.warehouse.password("developer").get_secret_value() in exports
    for secret in ("warehouse_loader", "warehouse_transformer", "s3_processor", "mlflow_admin"):
        assert (running.secrets_dir / secret).read_text().strip() not in exports
    assert _cli(running, "env", "--role", "transformer").returncode == 2


def test_clean_asks_first_and_then_removes_all(running: Settings) -> None:
    kept = _cli(running, "clean")
    assert (kept.returncode, running.state_dir.exists()) == (1, True)
    gone = _cli(running, "clean", "--yes")
    assert (gone.returncode, running.state_dir.exists()) == (0, False)


def test_a_folder_without_a_platform_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    variables = {**os.environ, "TOLLGATE_STATE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-m", "embedded", "clean", "--yes"],
        cwd=REPO,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert (tmp_path / "thesis.txt").exists()
