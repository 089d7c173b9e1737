from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Start Airflow's web application in a separate interpreter and request our pages."""
    home = tmp_path_factory.mktemp("web")
    state = home / "state"
    pages = state / "docs" / "gx"
    pages.mkdir(parents=True)
    (pages / "index.html").write_text("<h1>data docs</h1>")
    (pages / "secret.txt").write_text("rows")
    (state / "secrets").mkdir()
    (state / "secrets" / "key").write_text("key")
    (state / "secrets" / "mlflow_reader").write_text("secret")
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"admin": "a password"}))
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "PYTHONPATH": str(REPO),
        "TOLLGATE_STATE_DIR": str(state),
        # Nothing listens there: MLflow is away.
        "TOLLGATE_PORT_BASE": "61500",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
    }
    run = subprocess.run(
        [sys.executable, str(HERE / "ask_airflow.py"), "a password"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stderr.splitlines()[-1])


def test_no_page_is_shown_without_a_login(asked: dict[str, Any]) -> None:
    assert {page: answer["status"] for page, answer in asked["nobody"].items()} == dict.fromkeys(
        asked["nobody"], 401
    )
    assert "rows" not in json.dumps(asked["nobody"])


def test_a_browser_is_shown_the_login_and_comes_back(asked: dict[str, Any]) -> None:
    for page, answer in asked["nobody_with_browser"].items():
        assert answer["status"] == 303
        assert answer["headers"]["location"] == f"/auth/login/?next={page}"


def test_a_forged_token_opens_nothing(asked: dict[str, Any]) -> None:
    assert {answer["status"] for answer in asked["forged"].values()} == {401}


@pytest.mark.parametrize("how", ["bearer", "cookie"])
def test_logged_in_users_see_the_pages(asked: dict[str, Any], how: str) -> None:
    answers = asked[how]
    assert answers["/tollgate/gx/index.html"]["text"] == "<h1>data docs</h1>"
    assert answers["/tollgate/gx/secret.txt"]["text"] == "rows"


def test_missing_pages_have_a_placeholder(asked: dict[str, Any]) -> None:
    answer = asked["bearer"]["/tollgate/dbt/"]
    assert answer["status"] == 404
    assert "after the first window" in answer["text"]


def test_a_proxy_without_mlflow_says_so(asked: dict[str, Any]) -> None:
    assert asked["bearer"]["/mlflow/"]["status"] == 502


@pytest.mark.parametrize("who", ["nobody", "bearer", "cookie", "nobody_with_browser"])
def test_no_page_is_cached_framed_or_runs_external_code(asked: dict[str, Any], who: str) -> None:
    for answer in asked[who].values():
        headers = answer["headers"]
        assert headers["cache-control"] == "private, no-store"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self' ")
        assert policy.endswith("frame-ancestors 'self'")
        assert "http" not in policy


def test_the_parent_folder_cannot_be_read(asked: dict[str, Any]) -> None:
    assert asked["outside"]["status"] == 404
    assert "key" not in asked["outside"]["text"]


def test_websockets_and_interface_descriptions_are_refused(asked: dict[str, Any]) -> None:
    assert asked["websocket"] == "WebSocketDisconnect"
    assert asked["openapi"]["status"] == 404


def test_the_menu_names_the_pages(asked: dict[str, Any]) -> None:
    assert asked["import_errors"]["import_errors"] == []
    (plugin,) = [p for p in asked["plugins"]["plugins"] if p["name"] == "tollgate"]
    assert {view["name"]: view["href"] for view in plugin["external_views"]} == {
        "dbt docs": "/tollgate/dbt/index.html",
        "Data docs": "/tollgate/gx/index.html",
        "MLflow": "/mlflow/#/experiments",
        "Decision API": "http://127.0.0.1:61515/docs",
    }
