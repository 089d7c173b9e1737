"""The dashboards in Superset, through its API and in a real browser."""

import io
import zipfile
from decimal import Decimal, InvalidOperation

import psycopg
import pytest
from selenium.common.exceptions import WebDriverException

from bi.browser import Browser, BrowserError, wait
from bi.dashboards import DASHBOARDS
from bi.model import Dashboard
from bi.publish import PublishError, client, publish
from contracts.settings import Settings

pytestmark = [pytest.mark.bi, pytest.mark.timeout(1200)]


def _exported(settings: Settings) -> dict[str, str]:
    with client(settings) as session:
        answer = session.get("/api/v1/assets/export/")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    # The folder's name and the first file say when it was exported.
    return {
        name.partition("/")[2]: archive.read(name).decode()
        for name in archive.namelist()
        if not name.endswith("metadata.yaml")
    }


def _dashboard(name: str) -> Dashboard:
    return next(dashboard for dashboard in DASHBOARDS if dashboard.name == name)


def test_importing_again_changes_nothing(dashboards: Settings) -> None:
    before = _exported(dashboards)
    publish(dashboards)
    assert _exported(dashboards) == before
    kinds = [name.partition("/")[0] for name in before]
    assert kinds.count("dashboards") == len(DASHBOARDS)
    assert kinds.count("charts") == sum(len(dashboard.charts) for dashboard in DASHBOARDS)


def test_no_password_leaves_superset(dashboards: Settings) -> None:
    password = dashboards.warehouse.password("reader").get_secret_value()
    assert not any(password in text for text in _exported(dashboards).values())


def test_anonymous_access_and_a_wrong_login_are_refused(dashboards: Settings) -> None:
    superset = dashboards.superset.model_copy(update={"username": "nobody"})
    with (
        pytest.raises(PublishError, match="refused the login"),
        client(dashboards.model_copy(update={"superset": superset})),
    ):
        pass


def test_an_unreachable_superset_is_a_clear_error(dashboards: Settings) -> None:
    superset = dashboards.superset.model_copy(update={"url": "http://127.0.0.1:9"})
    with pytest.raises(PublishError, match=r"does not answer at http://127\.0\.0\.1:9"):
        publish(dashboards.model_copy(update={"superset": superset}))


@pytest.mark.parametrize(
    "statement",
    [
        "select * from staging.transactions",
        "select * from production_audit.layer_state",
        "create table production.mine (a integer)",
        "delete from production.rpt_fraud_daily",
    ],
)
def test_the_role_of_the_dashboards_reads_production_only(
    production: Settings, statement: str
) -> None:
    with psycopg.connect(production.warehouse.dsn("reader")) as reader:
        assert reader.execute("select count(*) from production.rpt_fraud_daily").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement.encode())


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_every_chart_draws_data(window: Browser, dashboard: Dashboard) -> None:
    window.open(dashboard)
    troubles = {title: text for title, text in window.troubles(dashboard).items() if text}
    assert troubles == {}


def _shown(window: Browser, titles: tuple[str, ...]) -> tuple[Decimal, ...] | None:
    """Return the figures that charts show; None while one of them is being redrawn."""
    try:
        return tuple(Decimal(window.text(title).replace(",", "")) for title in titles)
    except (KeyError, InvalidOperation, WebDriverException):
        return None


def test_headline_figures_equal_sql_and_follow_a_filter(
    window: Browser, production: Settings
) -> None:
    sql = (
        "select count(*), count(*) filter (where is_fraud),"
        " round(sum(amount) filter (where is_fraud))"
        " from production.fct_transactions"
        " join production.fct_fraud_labels using (source_system, event_id)"
        " where source_system = any(%s)"
    )
    titles = ("Payments", "Known frauds", "Money lost")
    window.open(_dashboard("fraud_overview"))
    expected = []
    for sources in (["sparkov", "handbook"], ["sparkov"]):
        if len(sources) == 1:
            window.choose("source_system", sources[0])
        with psycopg.connect(production.warehouse.dsn("reader")) as reader:
            expected.append(reader.execute(sql, (sources,)).fetchone())
        wait(lambda: _shown(window, titles) == expected[-1], f"figures {expected[-1]}")
    assert expected[0] != expected[1]


def test_a_missing_browser_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, dashboards: Settings
) -> None:
    from bi.browser import browser

    monkeypatch.setenv("PATH", "")
    with pytest.raises(BrowserError, match="chromium is not installed"), browser(dashboards):
        pass
