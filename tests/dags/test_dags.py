from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contracts.assets import (
    ALERTS_DAG,
    DAG_OF_STAGE,
    DAGS,
    FEEDBACK_DAG,
    ONLINE_STORE_DAG,
    OPERATIONS_DAGS,
    STREAM_DAG,
    landing_dag,
    stage_of,
)
from contracts.stages import Gate, Stage
from sources.registry import DEFAULT_SOURCE, names

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
FILES = sorted((REPO / "dags").glob("*.py"))
GRAPH = HERE / "graph.txt"
LANDING = {landing_dag(source, DEFAULT_SOURCE) for source in names()}
MANUAL = ("**When", "**Run it again**", "**When it fails**")

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Parse every file of dags/; keyed by file stem."""
    home = str(tmp_path_factory.mktemp("airflow"))
    environment = {
        "PATH": os.defpath,
        "HOME": home,
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'plugins'}",
    }
    run = subprocess.run(
        [sys.executable, str(HERE / "parse_files.py"), *map(str, FILES)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    by_file: dict[str, dict[str, Any]] = json.loads(run.stderr.splitlines()[-1])
    return by_file


@pytest.fixture(scope="module")
def dags(parsed: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return every DAG that was found, by id."""
    return {dag_id: dag for file in parsed.values() for dag_id, dag in file["dags"].items()}


def as_text(dags: dict[str, dict[str, Any]]) -> str:
    """Draw DAGs, tasks, edges and assets, in flow order."""
    lines = []
    for dag_id in DAGS:
        dag = dags[dag_id]
        lines.append(f"{dag_id}: {dag['schedule']}, {dag['max_active_runs']} run at a time")
        for name, task in dag["tasks"].items():
            arrows = [f" -> {', '.join(task['downstream'])}"] if task["downstream"] else []
            arrows += [f" => {', '.join(task['outlets'])}"] if task["outlets"] else []
            lines.append(f"    {name}{' (teardown)' * task['teardown']}{''.join(arrows)}")
    return "\n".join(lines) + "\n"


def test_each_file_has_the_dag_of_its_name(parsed: dict[str, dict[str, Any]]) -> None:
    assert {file: set(found["dags"]) for file, found in parsed.items()} == {
        dag_id: LANDING if dag_id == DAG_OF_STAGE[Stage.LAND] else {dag_id} for dag_id in DAGS
    }


def test_each_source_has_a_schedule_that_can_be_backfilled(
    dags: dict[str, dict[str, Any]],
) -> None:
    """Airflow runs a partition of a DAG once: sources that share a DAG would share their dates."""
    assert len(LANDING) == len(names())
    first = dags[DAG_OF_STAGE[Stage.LAND]]
    for dag_id in LANDING:
        assert stage_of(dag_id) is Stage.LAND
        assert dags[dag_id]["schedule"] == first["schedule"] == "0 0 * * * (CronPartitionTimetable)"
        assert dags[dag_id]["tasks"] == first["tasks"]


def test_no_file_has_an_import_error(parsed: dict[str, dict[str, Any]]) -> None:
    assert {file: found["errors"] for file, found in parsed.items() if found["errors"]} == {}


def test_parsing_imports_no_engine_and_opens_no_socket(parsed: dict[str, dict[str, Any]]) -> None:
    cost = {file: (found["heavy"], found["sockets"]) for file, found in parsed.items()}
    assert cost == dict.fromkeys(cost, ([], []))


def test_the_graph_is_the_committed_one(dags: dict[str, dict[str, Any]]) -> None:
    assert as_text(dags) == GRAPH.read_text()


def test_assets_connect_the_dags_in_order(dags: dict[str, dict[str, Any]]) -> None:
    beside = (Stage.TRAIN, Stage.REDRIVE)  # no window passes through them to PRODUCTION
    line = [DAG_OF_STAGE[stage] for stage in Stage if stage not in beside]
    for before, after in pairwise(line):
        produced = [asset for task in dags[before]["tasks"].values() for asset in task["outlets"]]
        assert [dags[after]["schedule"]] == [f"after {asset}" for asset in produced]


def test_every_gate_is_a_separate_task(dags: dict[str, dict[str, Any]]) -> None:
    tasks = {task for dag in dags.values() for task in dag["tasks"]}
    assert {f"gate_{gate}" for gate in Gate} <= tasks


def test_only_the_gate_or_a_later_task_updates_the_asset(dags: dict[str, dict[str, Any]]) -> None:
    for dag in dags.values():
        for name, task in dag["tasks"].items():
            if task["outlets"] and not name.startswith("gate_"):
                before = [t for t, v in dag["tasks"].items() if name in v["downstream"]]
                assert any(t.startswith("gate_") for t in before)


def test_every_task_has_retries_a_failure_callback_and_a_timeout(
    dags: dict[str, dict[str, Any]],
) -> None:
    for dag in dags.values():
        for name, task in dag["tasks"].items():
            policy = (task["retries"] >= 1, task["callbacks"], task["timeout"])
            assert policy == (True, True, True), name
            assert task["doc"], name


def test_every_dag_has_its_manual(dags: dict[str, dict[str, Any]]) -> None:
    for dag_id, dag in dags.items():
        assert [part for part in MANUAL if part not in dag["doc"]] == [], dag_id
        assert dag["description"]
        for task in dag["tasks"]:
            assert f"`{task}`" in dag["doc"], f"{dag_id}: the manual is silent about {task}"


def test_every_parameter_is_typed_and_described(dags: dict[str, dict[str, Any]]) -> None:
    without_window = (STREAM_DAG, FEEDBACK_DAG, ALERTS_DAG, ONLINE_STORE_DAG, *OPERATIONS_DAGS)
    for dag_id, dag in dags.items():
        assert ("window" in dag["params"]) == (dag_id not in without_window)
        for param in dag["params"].values():
            assert param["typed"]
            assert param["description"].endswith(".")
            assert param["title"]


def test_no_dag_catches_up_or_runs_two_windows_concurrently(
    dags: dict[str, dict[str, Any]],
) -> None:
    assert {(dag["catchup"], dag["max_active_runs"]) for dag in dags.values()} == {(False, 1)}


def test_dag_files_are_wiring() -> None:
    assert {file.name: len(file.read_text().splitlines()) <= 80 for file in FILES} == {
        file.name: True for file in FILES
    }
