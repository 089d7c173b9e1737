"""What a load says, in one sentence, when a store on either side of it goes away or refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from sources.errors import StoreRefusedError, StoreUnreachableError

_P = ParamSpec("_P")
_T = TypeVar("_T")
# By text: what the lake's reader raises while rows stream passes through Arrow and the driver.
_REFUSED: Final = re.compile(r"ACCESS_DENIED|InvalidAccessKeyId|SignatureDoesNotMatch")
_UNREACHABLE: Final = re.compile(r"NETWORK_CONNECTION|curlCode")
_LOST: Final = re.compile(
    r"connection refused|failed to connect|server closed the connection|could not receive data"
    r"|no connection to the server|connection (is|was) (closed|lost)|terminating connection"
    r"|the database system is|crash of another server process",
    re.IGNORECASE,
)


class WarehouseLostError(ConnectionError):
    """Postgres went away while a job ran; running the job again heals it."""


def says_what_is_away(job: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn what drivers raise when a store is away into one sentence.

    Raises:
        WarehouseLostError: from the decorated job, when Postgres does not answer any more.
        StoreUnreachableError: when the object store under the lake does not answer.
        StoreRefusedError: when the object store does not accept the reading key.
    """

    @wraps(job)
    def told(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return job(*args, **kwargs)
        except Exception as error:
            said = str(error)
            what = f"{job.__module__.rpartition('.')[2]}.{job.__name__}"
            if _REFUSED.search(said):
                raise StoreRefusedError(
                    f"the object store refused {what} the files of the lake: check the S3 key of"
                    " the role that reads it."
                ) from error
            if _UNREACHABLE.search(said):
                raise StoreUnreachableError(
                    f"the object store did not answer while {what} read the lake, and nothing was"
                    " changed: run the task again once `make status` shows s3 as ready."
                ) from error
            if _LOST.search(said):
                raise WarehouseLostError(
                    f"Postgres was lost while {what} ran, and its transaction left nothing behind:"
                    " run the task again once `make status` shows postgres as ready."
                ) from error
            raise

    return told
