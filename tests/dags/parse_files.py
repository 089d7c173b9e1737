"""Parse DAG files, and print what each holds and what parsing it cost, as JSON by file.

Each file is parsed in a new fork of this process, which has imported Airflow and nothing else. The
JSON goes to standard error, since Airflow's own log takes standard output. Started by test_dags.py
with Airflow's home in a temporary folder.
"""

import json
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Param

HEAVY = ("pyspark", "great_expectations", "mlflow", "sklearn", "pandas", "dbt", "boto3", "psycopg")
sockets: list[str] = []


def listen(event: str, _: tuple[Any, ...]) -> None:
    """Note every socket that is made."""
    if event.startswith("socket."):
        sockets.append(event)


def schedule(dag: airflow.sdk.DAG) -> str:
    """Say in words when a DAG runs."""
    timetable = dag.timetable
    condition = getattr(timetable, "asset_condition", None)
    if condition is not None:
        return f"after {condition.name}"
    expression = getattr(timetable, "expression", None)
    return f"{expression} ({type(timetable).__name__})" if expression else "by hand"


def describe(dag: airflow.sdk.DAG) -> dict[str, Any]:
    """Return what the tests look at."""
    params = {name: dag.params.get_param(name) for name in dag.params}
    return {
        "schedule": schedule(dag),
        "doc": dag.doc_md or "",
        "description": dag.description or "",
        "file": Path(dag.fileloc).name,
        "tags": sorted(dag.tags),
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "params": {
            name: {
                "typed": isinstance(param, Param) and "type" in param.schema,
                "description": param.description or "",
                "title": param.schema.get("title", ""),
            }
            for name, param in params.items()
        },
        "tasks": {
            task.task_id: {
                "downstream": sorted(task.downstream_task_ids),
                "outlets": [asset.name for asset in task.outlets],
                "retries": task.retries,
                "callbacks": bool(task.on_failure_callback),
                "timeout": task.execution_timeout is not None,
                "doc": task.doc or task.doc_md or "",
                "teardown": task.is_teardown,
            }
            for task in dag.tasks
        },
    }


def parse(file: str) -> dict[str, Any]:
    """Parse a file in this process, which has parsed no other one."""
    sys.addaudithook(listen)
    bag = DagBag(file)
    return {
        "errors": bag.import_errors,
        "dags": {dag_id: describe(dag) for dag_id, dag in bag.dags.items()},
        "heavy": [name for name in HEAVY if name in sys.modules],
        "sockets": sockets,
    }


if __name__ == "__main__":
    files = sys.argv[1:]
    with get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        found = pool.map(parse, files, chunksize=1)
    json.dump({Path(file).stem: one for file, one in zip(files, found, strict=True)}, sys.stderr)
