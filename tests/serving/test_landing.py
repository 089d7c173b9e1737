"""The decisions of a day in Raw, STAGING and PRODUCTION, and the gates between them."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from contracts.results import GateFailed
from contracts.settings import Settings
from contracts.windows import Window, WindowError
from serving.audit import main, verify_log
from serving.landing import land
from sources.store import s3_client
from tests.serving.decided import log_decisions
from warehouse.errors import WarehouseLostError

pytestmark = [pytest.mark.postgres, pytest.mark.airflow]
_DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
_WITHOUT_MODEL: dict[str, Any] = {
    **{"model": None, "risk_score": None, "degraded": True, "reason_codes": []},
    **{"degraded_causes": ["MLflow does not answer."], "recommendation": "APPROVE"},
}


@pytest.fixture(scope="module")
def settings(s3: Settings, warehouse: Settings) -> Settings:
    """The warehouse, with the object store and the key of the test platform."""
    update = {"warehouse": warehouse.warehouse, "state_dir": warehouse.state_dir}
    settings = s3.model_copy(update=update)
    settings.pseudonym_key_file.parent.mkdir(parents=True)
    shutil.copyfile(s3.pseudonym_key_file, settings.pseudonym_key_file)
    return settings


class Dag:
    """The tasks of record_decisions, without Airflow."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        from tollgate_airflow.stages import decisions as stage

        monkeypatch.setattr(stage, "get_settings", lambda: settings)
        monkeypatch.setattr("tollgate_airflow.raw.get_settings", lambda: settings)
        monkeypatch.setattr(stage.connections, "s3", lambda role: s3_client(settings, role))
        monkeypatch.setattr(stage.connections, "warehouse", settings.warehouse.dsn)
        self._stage, self._patch = stage, monkeypatch
        self._settings = settings

    def land(self, window: str | None, run_id: str = "one") -> dict[str, Any]:
        params = {"source": "decision_log", "window": window}
        run = SimpleNamespace(dag_id="record_decisions", run_id=run_id, partition_key=None)
        # Its guard would ask Airflow for the task that runs.
        landed: dict[str, Any] = self._stage.land.__wrapped__({"params": params, "dag_run": run})
        return landed

    def gate_raw(self, landed: dict[str, Any]) -> str:
        return str(self._stage.gate_raw.__wrapped__(landed))

    def load(self, landed: dict[str, Any]) -> str:
        return str(self._stage.load.__wrapped__(landed))

    def gate_staging(self, landed: dict[str, Any], name: str) -> str:
        return str(self._stage.gate_staging.__wrapped__(landed, name))

    def run(self, window: str, run_id: str = "one") -> str:
        landed = self.land(window, run_id)
        self.gate_raw(landed)
        name = self.load(landed)
        self.gate_staging(landed, name)
        return str(self._stage.publish.__wrapped__(landed, name))

    def replay(self, window: str) -> list[str]:
        from tollgate_airflow.stages import replay as stage

        params = {"source": "decision_log", "window": window, "size": 500}
        run = SimpleNamespace(dag_id="replay_decisions", run_id="one", partition_key=None)
        self._patch.setattr(stage, "get_settings", lambda: self._settings)
        return list(stage.replay.__wrapped__({"params": params, "dag_run": run}))

    def rows(self, role: Any, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._settings.warehouse.dsn(role)) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def dag(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Dag:
    return Dag(settings, monkeypatch)


def test_a_day_is_published_once(settings: Settings, dag: Dag) -> None:
    """It takes 30 s on a busy machine: dbt builds the mart twice, and no other mart is there."""
    log_decisions(settings, _DAY, "first", "second")
    log_decisions(settings, _DAY, "third", **_WITHOUT_MODEL)
    log_decisions(settings, _DAY + timedelta(days=1), "of the next day")
    assert dag.run("2026-05-01") == "decision_log@2026-05-01"
    query = (
        "select event_id, amount, model_version, score, decision, reason_codes, degraded_causes,"
        " latency_seconds, caller, decided_at, decided_date from production.fct_decisions"
        " where decided_date = '2026-05-01' order by 1"
    )
    scored = (Decimal("943.2200"), 3, 0.75, "review", ["HIGH_AMOUNT", "AMOUNT"], [])
    ruled = (Decimal("943.2200"), None, None, "approve", [], ["MLflow does not answer."])
    same = (0.0125, "tester", _DAY, date(2026, 5, 1))
    rows = [("first", *scored, *same), ("second", *scored, *same), ("third", *ruled, *same)]
    assert dag.rows("reader", query) == rows

    assert dag.replay("2026-05-01") == []
    everything = "select * from production.fct_decisions order by event_id"
    before = dag.rows("reader", everything)
    again = dag.land("2026-05-01", "again")
    assert (again["details"]["new_objects"], again["details"]["sequence"]) == (0, 1)
    assert dag.run("2026-05-01--2026-05-02", "with the next day")
    after = dag.rows("reader", everything)
    assert [row for row in after if row in before] == before
    assert len(after) == len(before) + 1
    replays = dag.rows(
        "reader",
        "select decided_date, source_system, replay_outcome, decision_count, compared_count,"
        " match_ratio from production.rpt_decision_replay order by 3",
    )
    day = (date(2026, 5, 1), "sparkov")
    assert replays == [(*day, "degraded", 1, 0, None), (*day, "no_fill", 2, 0, None)]
    log_decisions(settings, _DAY + timedelta(days=2), "not landed")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("select 1", "verified: 5 rows"),
        (
            "update serving.decisions set decision = 'approve' where chain_position = 2",
            r"position 2, payment second of sparkov: the row was changed",
        ),
        (
            "delete from serving.decisions where chain_position = 3",
            r"position 3: the row is missing, the next one has position 4",
        ),
        (
            "delete from serving.decisions where chain_position > 3",
            r"position 4: the row is missing, and all after it: Raw has rows up to position 4",
        ),
        (
            'insert into serving.decisions select (jsonb_populate_record(one, \'{"event_id": "x",'
            ' "chain_position": 6}\')).* from serving.decisions one where chain_position = 5',
            r"position 6, payment x of sparkov: the row was changed",
        ),
    ],
    ids=["nothing", "changed", "removed", "removed from the end", "added"],
)
def test_the_audit_names_the_first_row_that_is_not_as_written(
    settings: Settings, capsys: pytest.CaptureFixture[str], damage: str, message: str
) -> None:
    """The days before are in Raw up to position 4, and the log goes on."""
    with psycopg.connect(settings.warehouse.dsn("loader"), autocommit=True) as loader:
        loader.execute("create temporary table saved as select * from serving.decisions")
        loader.execute(damage.encode())
        code = main(["verify"], settings)
        loader.execute("delete from serving.decisions")
        loader.execute("insert into serving.decisions select * from saved")
    out, err = capsys.readouterr()
    assert re.search(message, out if damage == "select 1" else err)
    assert code == (0 if damage == "select 1" else 1)


def test_the_audit_without_postgres_or_raw_is_a_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    away = {"warehouse": settings.warehouse.model_copy(update={"port": 1})}
    assert main(["verify"], settings.model_copy(update=away)) == 1
    assert "Postgres was lost while audit.verify_log ran" in capsys.readouterr().err
    nowhere = {"s3": settings.s3.model_copy(update={"raw_bucket": "tollgate-nowhere"})}
    assert main(["verify"], settings.model_copy(update=nowhere)) == 1
    assert "refused access to bucket tollgate-nowhere" in capsys.readouterr().err
    silent = {"s3": settings.s3.model_copy(update={"endpoint": "http://127.0.0.1:1"})}
    assert main(["verify"], settings.model_copy(update=silent)) == 1
    assert "the object store does not respond" in capsys.readouterr().err


def test_decisions_of_several_processes_are_one_chain(settings: Settings) -> None:
    before = log_length(settings)
    at = _DAY + timedelta(days=60)
    names = [[f"{caller} {number}" for number in range(8)] for caller in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for number in range(8):
            list(pool.map(lambda mine, n=number: log_decisions(settings, at, mine[n]), names))
    assert log_length(settings) == before + 32


def log_length(settings: Settings) -> int:
    """Return the number of rows of the log, which is verified."""
    client, bucket = s3_client(settings, "processor"), settings.s3.raw_bucket
    return verify_log(settings.warehouse.dsn("loader"), client, bucket)


def test_decisions_that_changed_after_they_landed_close_gate_raw(
    settings: Settings, dag: Dag
) -> None:
    log_decisions(settings, _DAY + timedelta(days=30), "changed", "stays")
    dag.gate_raw(dag.land("2026-05-31"))
    before = dag.rows("loader", "select * from staging.decisions order by event_id")
    with psycopg.connect(settings.warehouse.dsn("loader")) as loader:
        loader.execute("update serving.decisions set score = 0 where event_id = 'changed'")
    landed = dag.land("2026-05-31", "again")
    with pytest.raises(GateFailed, match="have landed before with other content") as error:
        dag.gate_raw(landed)
    assert "has not the hash of its content" in str(error.value)
    assert dag.rows("loader", "select * from staging.decisions order by event_id") == before


def test_decisions_that_left_the_log_close_gate_raw(settings: Settings, dag: Dag) -> None:
    log_decisions(settings, _DAY + timedelta(days=31), "leaves")
    landed = dag.land("2026-06-01")
    with psycopg.connect(settings.warehouse.dsn("loader")) as loader:
        loader.execute("delete from serving.decisions where event_id = 'leaves'")
    with pytest.raises(GateFailed, match="another number of decisions than the log"):
        dag.gate_raw(landed)
    with pytest.raises(GateFailed, match="another number of decisions than the log"):
        dag.gate_raw(dag.land("2026-06-01", "again"))


def test_rows_that_differ_from_raw_close_gate_staging_and_are_dropped(
    settings: Settings, dag: Dag
) -> None:
    log_decisions(settings, _DAY + timedelta(days=32), "a", "b")
    landed = dag.land("2026-06-02")
    name = dag.load(landed)
    with psycopg.connect(settings.warehouse.dsn("loader")) as loader:
        loader.execute(f"update {name} set amount = 0, score = 2 where event_id = 'a'".encode())
    with pytest.raises(GateFailed) as error:
        dag.gate_staging(landed, name)
    assert re.search(r"decisions\.raw\.amount\.equals_amount_before", str(error.value))
    assert re.search(r"decisions\.score\.between", str(error.value))
    assert dag.rows("loader", f"select to_regclass('{name}')") == [(None,)]


def test_a_day_without_decisions_is_skipped(dag: Dag) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="decision_log@2020-01-01 has no decision"):
        dag.land("2020-01-01")


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (None, "record_decisions was started without dates"),
        (f"{datetime.now(UTC):%Y-%m-%d}", "is not over: its decisions land from"),
    ],
)
def test_dates_that_cannot_land_are_a_sentence(dag: Dag, window: str | None, message: str) -> None:
    with pytest.raises(WindowError, match=message):
        dag.land(window)


def test_a_replay_of_dates_that_have_not_landed_says_what_to_run(dag: Dag) -> None:
    with pytest.raises(LookupError, match="has not landed: run record_decisions for it first"):
        dag.replay("2019-01-01")


def test_decisions_that_do_not_match_fail_the_certificate() -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tollgate_airflow.stages import replay as stage

    stage.certify.__wrapped__([])
    names = [f"position {n}: the score was 0.5 and is 0.25" for n in range(5)]
    with pytest.raises(AirflowFailException, match=r"gives \(5\).*position 2.*and 2 more"):
        stage.certify.__wrapped__(names)


def test_a_landing_without_postgres_can_be_repeated(settings: Settings) -> None:
    nowhere = settings.warehouse.model_copy(update={"port": 1}).dsn("loader")
    client = s3_client(settings, "lander")
    window = Window.parse("decision_log@2026-05-01")
    with pytest.raises(WarehouseLostError, match=r"Postgres was lost while landing\.land ran"):
        land(nowhere, client, settings.s3.raw_bucket, window, "run")
