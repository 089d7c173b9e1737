"""Spark's daemon of Python workers, with two habits of its own.

What our tasks import is loaded before it forks them. And it ends when it has had no worker for a
while: a Connect server starts one for each session and would keep it for as long as it runs.
"""

import gc
import os
import signal
from typing import Any, Final

import psutil
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
from pyspark.daemon import manager

import spark.jobs.feature_tasks  # noqa: F401 - loaded for the workers
import warehouse.lake_store  # noqa: F401

_LOOK_SECONDS: Final = 30.0


def _end_when_idle(*_: Any) -> None:
    # Spark ends a worker that was idle for a minute, and starts a daemon that is gone again.
    if not psutil.Process().children():
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    gc.freeze()  # what is shared stays shared: no collector writes to it
    signal.signal(signal.SIGALRM, _end_when_idle)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    manager()
