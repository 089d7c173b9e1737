"""Generated requests get no 5xx, and no answer that contradicts the OpenAPI document."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from contracts.render import to_postgres
from contracts.serving_columns import USER_ROLES
from contracts.settings import HOST, Settings
from serving.access.users import Caller
from serving.analytics import LISTS
from tests.serving.champions import learnt
from tests.serving.listening import listening
from tests.serving.sample import lake
from tests.serving.test_app import app_of, tokens_of

pytestmark = pytest.mark.postgres
_RULES = Path(__file__).with_name("schemathesis.toml")
_NO_MART = "fraud-alerts"


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    """A warehouse with the marts but one, and limits that generated requests do not reach."""
    with psycopg.connect(warehouse.warehouse.dsn("transformer")) as owner:
        for name in LISTS.keys() - {_NO_MART}:
            owner.execute(to_postgres.create_table(LISTS[name], LISTS[name].name))
    many = {"sign_ins_per_minute": 10**9, "decisions_per_minute": 10**9}
    api = postgres.api.model_copy(update=many)
    return postgres.model_copy(update={"warehouse": warehouse.warehouse, "api": api})


@pytest.fixture(scope="module")
def port(settings: Settings) -> Iterator[int]:
    """The port of an API with a champion."""
    app, service = app_of(settings)
    service.models.use({"sparkov": learnt(*lake())})
    with listening(app) as port:
        yield port


def run(settings: Settings, port: int, role: str, folder: Path, *options: str) -> str:
    """Send generated requests of a caller with a role; return the report of contradictions."""
    token = tokens_of(settings).issue(Caller("tester", role))
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", _RULES, "run"]
    address = f"http://{HOST}:{port}/openapi.json"
    done = subprocess.run(
        [*command, address, "--header", f"Authorization: Bearer {token}", *options],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    ("role", "phases"),
    [("admin", "coverage,fuzzing"), ("analyst", "fuzzing"), ("service", "fuzzing")],
)
def test_no_answer_contradicts_the_document(
    settings: Settings, port: int, tmp_path: Path, role: str, phases: str
) -> None:
    """It takes 25 s: about 1,000 requests of an admin, and some of the roles that may do less."""
    few = ("--phases", phases, "--max-examples", "4", "--generation-deterministic")
    report = run(settings, port, role, tmp_path, *few)
    assert not report, report


@pytest.mark.soak
@pytest.mark.parametrize("role", USER_ROLES)
def test_no_answer_to_many_requests_contradicts_the_document(
    settings: Settings, port: int, tmp_path: Path, role: str
) -> None:
    report = run(settings, port, role, tmp_path, "--max-examples", "500")
    assert not report, report
