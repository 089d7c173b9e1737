"""Errors of a load when a store becomes unavailable or denies access."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from sources.errors import StoreRefusedError, StoreUnreachableError

_P = ParamSpec("_P")
_T = TypeVar("_T")
# By text, because errors of the lake reader pass through Arrow and the driver while rows stream.
_REFUSED: Final = re.compile(r"ACCESS_DENIED|InvalidAccessKeyId|SignatureDoesNotMatch")
_UNREACHABLE: Final = re.compile(r"NETWORK_CONNECTION|curlCode")
_LOST: Final = re.compile(
    r"connection refused|failed to connect|server closed the connection|could not receive data"
    r"|no connection to the server|connection (is|was) (closed|lost)|terminating connection"
    r"|the database system is|crash of another server process",
    re.IGNORECASE,
)


class WarehouseLostError(ConnectionError):
    """Raised when the connection to Postgres is lost during a job; the job can be retried."""


def says_what_is_away(job: Callable[_P, _T]) -> Callable[_P, _T]:
    """Replace driver errors of unavailable stores by errors with a clear message.

    Raises:
        WarehouseLostError: from the decorated job, when the connection to Postgres is lost.
        StoreUnreachableError: when the object store under the lake does not answer.
        StoreRefusedError: when the object store does not accept the reading key.
    """

    @wraps(job)
    def translated(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return job(*args, **kwargs)
        except Exception as error:
            text = str(error)
            task = f"{job.__module__.rpartition('.')[2]}.{job.__name__}"
            if _REFUSED.search(text):
                raise StoreRefusedError(
                    f"the object store refused {task} the files of the lake: check the S3 key of"
                    " the role that reads it."
                ) from error
            if _UNREACHABLE.search(text):
                raise StoreUnreachableError(
                    f"the object store did not answer while {task} read the lake, and nothing was"
                    " changed: run the task again once `make status` shows s3 as ready."
                ) from error
            if _LOST.search(text):
                raise WarehouseLostError(
                    f"Postgres was lost while {task} ran, and its transaction left nothing behind:"
                    " run the task again once `make status` shows postgres as ready."
                ) from error
            raise

    return translated
