"""The daemon of Spark's Python workers, which imports the modules of tasks before it forks.

Otherwise each worker would spend a second of CPU on the imports.
"""

import gc

from pyspark.daemon import manager

import lake.store  # noqa: F401
import spark.jobs.feature_tasks  # noqa: F401 - loaded for the workers

if __name__ == "__main__":
    gc.freeze()  # the garbage collector must not write to shared pages
    manager()
