"""Imports of modules that tasks need, in the scheduler; copied to ``$AIRFLOW_HOME/config``.

On Linux a task is a fork of the scheduler, so it does not import these modules again: a gate starts
in less than a second instead of ten. No connection is opened before the fork.
"""

import importlib
import logging
import sys

_HEAVY = (
    "adbc_driver_postgresql.dbapi",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.postgres.hooks.postgres",
    "dbt.adapters.postgres",
    "dbt.cli.main",
    "great_expectations",
    "grpc",
    "mlflow",
    "mlflow.sklearn",
    "pandas",
    "psycopg",
    "pyarrow.parquet",
    "pyiceberg.catalog.sql",
    "pyiceberg.io.pyarrow",
    "pyspark.sql.connect.session",
    "sklearn.ensemble",
    "sklearn.linear_model",
)

if sys.platform == "linux" and "scheduler" in sys.argv[1:2]:
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for _name in _HEAVY:
        importlib.import_module(_name)
