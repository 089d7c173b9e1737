"""Spark's daemon of Python workers, which loads what our tasks import before it forks them.

Each would spend a second of CPU on it.
"""

import gc

from pyspark.daemon import manager

import lake.store  # noqa: F401
import spark.jobs.feature_tasks  # noqa: F401 - loaded for the workers

if __name__ == "__main__":
    gc.freeze()  # what is shared stays shared: no collector writes to it
    manager()
