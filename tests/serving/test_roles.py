"""Which role may call which route: a route that this table does not have fails the test."""

from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Route

from contracts.serving_columns import USER_ROLES
from contracts.settings import Settings
from tests.serving.test_app import app_of, client_of

pytestmark = pytest.mark.postgres
_V1: Final = "/api/v1"
_OF_ANYONE: Final = {
    *("GET /", "GET /docs", "GET /openapi.json", "GET /metrics"),
    *("GET /health", "GET /health/live", "GET /health/ready"),
    *(f"POST {_V1}/auth/{name}" for name in ("login", "refresh", "logout")),
}
_ROLES: Final[Mapping[str, set[str]]] = {
    "POST /detect": {"service", "admin"},
    f"POST {_V1}/detect": {"service", "admin"},
    f"POST {_V1}/detect/batch": {"service", "admin"},
    f"POST {_V1}/auth/password": {"service", "analyst", "admin"},
    f"GET {_V1}/users": {"admin"},
    f"POST {_V1}/users": {"admin"},
    f"PATCH {_V1}/users/{{username}}": {"admin"},
    f"GET {_V1}/analytics/transactions": {"analyst", "admin"},
    f"GET {_V1}/analytics/fraud-alerts": {"analyst", "admin"},
    f"GET {_V1}/analytics/summary": {"analyst", "admin"},
    f"GET {_V1}/analytics/model-performance": {"analyst", "admin"},
    f"GET {_V1}/alerts": {"analyst", "admin"},
    f"POST {_V1}/alerts/{{alert_id}}/claim": {"analyst", "admin"},
    f"POST {_V1}/alerts/{{alert_id}}/release": {"analyst", "admin"},
    f"POST {_V1}/alerts/{{alert_id}}/decide": {"analyst", "admin"},
    f"POST {_V1}/feedback": {"analyst", "admin"},
}


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


def routes(settings: Settings) -> Iterator[str]:
    """Yield method and path of each route of the application."""
    app, _ = app_of(settings)
    for route in app.routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            yield f"{method} {route.path}"


def statuses(client: TestClient) -> dict[str, int]:
    """Return the status of a request without a body to each route that has roles."""
    found = {}
    for route in _ROLES:
        method, path = route.split()
        found[route] = client.request(method, path.format(username="x", alert_id="x")).status_code
    return found


def test_each_route_says_who_may_call_it(settings: Settings) -> None:
    assert set(routes(settings)) == _ROLES.keys() | _OF_ANYONE


def test_no_route_answers_a_caller_without_a_token(settings: Settings) -> None:
    assert set(statuses(client_of(settings, None)).values()) == {401}


@pytest.mark.parametrize("role", USER_ROLES)
def test_a_role_reaches_its_routes_and_no_other(settings: Settings, role: str) -> None:
    for route, status in statuses(client_of(settings, role)).items():
        if role in _ROLES[route]:
            assert status not in (401, 403), route
        else:
            assert status == 403, route
