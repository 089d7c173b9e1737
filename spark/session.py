"""The Spark session of a job, and the errors when its driver or the object store is away."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession

from contracts.settings import Settings
from sources.errors import StoreUnreachableError
from spark.conf import lake_conf

# The client raises different errors, depending on its first call to the restarted server.
_LOST: Final = re.compile(
    r"NO_ACTIVE_SESSION|INVALID_HANDLE\.SESSION_|server side session identifier"
    r"|RESPONSE_ALREADY_RECEIVED|StatusCode\.UNAVAILABLE|closed channel"
)
_STORE_AWAY: Final = "Unable to execute HTTP request"
"""Text of the AWS SDK, which S3A and Iceberg use."""

_opened: Final[list[SparkSession]] = []
"""Every Connect session of this process. PySpark closes a session that is garbage collected, which
may happen inside a call that owns the lock that closing waits for: the process then hangs."""


class DriverLostError(ConnectionError):
    """Raised when the Spark driver is lost during a job; the job can be retried."""


def session(settings: Settings, jars: Sequence[Path] = ()) -> SparkSession:
    """Return a session of the configured Connect server, or one in this process without it.

    A Connect session of this process is reused, unless its driver was lost. A classic session needs
    `jars` on its class path unless spark-submit added them. It has the keys of the lake in memory,
    so it starts only if no other session runs.
    """
    if settings.spark.remote is not None:
        return _of_server(settings.spark.remote.get_secret_value())
    builder = SparkSession.builder.appName("tollgate").config(map=lake_conf(settings))
    if jars:
        builder = builder.config("spark.driver.extraClassPath", ":".join(map(str, jars)))
    return builder.getOrCreate()


def _of_server(address: str) -> SparkSession:
    # A client that detects a restarted server closes its session, which stays the registered one:
    # later sessions are not registered, and Great Expectations has none. `stop` removes it.
    if _opened and _opened[-1].is_stopped:
        _opened[-1].stop()
    for _ in range(2):  # the active session of this thread, and the default one
        spark = _reached(address)
        try:
            # A request to the server; a restarted one may answer only version requests.
            spark.sql("SELECT 1")
            return spark
        except Exception as error:
            if not _LOST.search(str(error)):
                raise
        # The client does not always detect that its session has ended, and would return it again.
        spark.release_session_on_close = False  # the server of this session does not exist any more
        spark.stop()
    return _reached(address)


def _reached(address: str) -> SparkSession:
    """Return the existing session or a new one; a lost driver is detected within two seconds.

    The client retries for two minutes at short intervals. By default the intervals grow up to a
    minute, although the driver restarts within seconds.
    """
    from pyspark.sql.connect.client.retries import DefaultPolicy

    spark = SparkSession.builder.remote(address).getOrCreate()
    if spark not in _opened:
        _opened.append(spark)
    spark.client.set_retry_policies([DefaultPolicy(max_retries=60, max_backoff=2000)])
    return spark


@contextmanager
def outage_explained() -> Iterator[None]:
    """Replace errors of Spark during an outage by an error with a clear message.

    Raises:
        DriverLostError: from the block, when the driver was killed or restarted.
        StoreUnreachableError: from the block, when the object store did not answer Spark.
    """
    try:
        yield
    except Exception as error:
        if _LOST.search(str(error)):
            raise DriverLostError(
                "Spark's driver was lost during the job. No incomplete table was published: run the"
                " task again once `make status` shows spark as ready."
            ) from error
        if _STORE_AWAY in str(error):
            raise StoreUnreachableError(
                "The object store did not answer Spark during the job. Nothing incomplete was"
                " published: run the task again once `make status` shows s3 as ready."
            ) from error
        raise
