"""Spark's daemon of Python workers, with two habits of its own.

What our tasks import is loaded before it forks them: each would spend a second of CPU on it. And it
ends when it has no worker: Connect starts one for each session, and would keep it for as long as
the server runs. Spark ends workers that were idle for a minute, and starts a daemon that is gone
anew.
"""

import gc
import os
import signal
from typing import Any, Final

import psutil
from pyspark.daemon import manager

import spark.jobs.feature_tasks  # noqa: F401 - loaded for the workers
import warehouse.lake_store  # noqa: F401

_LOOK_SECONDS: Final = 10.0


def _end_when_idle(*_: Any) -> None:
    if not psutil.Process().children():
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    gc.freeze()  # what is shared stays shared: no collector writes to it
    signal.signal(signal.SIGALRM, _end_when_idle)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    manager()
