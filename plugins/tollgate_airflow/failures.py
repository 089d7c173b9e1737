"""Which errors are transient and may be retried, and the failure message of a task."""

from __future__ import annotations

import functools
import json
import logging
import re
import urllib.request
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec, TypeVar

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pydantic import SecretStr

from contracts.results import GateFailed
from contracts.settings import get_settings
from tollgate_airflow.runs import window_key
from tollgate_airflow.task_metrics import measured

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")

# By name, so that the check imports no engine.
_HEALING_TYPES: Final = {
    "builtins.ConnectionError",
    "builtins.TimeoutError",
    "adbc_driver_manager.OperationalError",
    "botocore.exceptions.ConnectionError",
    "botocore.exceptions.HTTPClientError",
    "grpc.RpcError",
    "psycopg.OperationalError",
    "psycopg2.OperationalError",
    "requests.exceptions.ConnectionError",
    "requests.exceptions.Timeout",
    "sqlalchemy.exc.OperationalError",
    "urllib3.exceptions.HTTPError",
}
# Texts in general errors of the engines when a service is unavailable or starting.
_HEALING_TEXT: Final = re.compile(
    r"connection (refused|reset|was closed|is closed)|max retries exceeded|failed to connect"
    r"|could not (connect|receive data)|server closed the connection|StatusCode\.UNAVAILABLE"
    r"|INVALID_HANDLE\.SESSION_(NOT_FOUND|CHANGED|CLOSED)|the database system is"
    r"|terminating connection due to|NO_ACTIVE_SESSION|server side session identifier"
    r"|RESPONSE_ALREADY_RECEIVED|NETWORK_CONNECTION|curlCode"
    r"|deadlock detected|due to lock timeout",
    re.IGNORECASE,
)
_NEVER: Final = re.compile(
    r"password authentication failed|InvalidAccessKeyId|permission denied|ACCESS_DENIED"
    r"|refuses the password"
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def is_transient(error: BaseException) -> bool:
    """Return whether an error is transient: a service was unavailable, the data is not wrong."""
    links = list(_chain(error))
    if any(isinstance(link, GateFailed) or _NEVER.search(str(link)) for link in links):
        return False
    return any(
        _HEALING_TEXT.search(str(link))
        or any(f"{c.__module__}.{c.__qualname__}" in _HEALING_TYPES for c in type(link).__mro__)
        for link in links
    )


def guarded(work: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let Airflow retry transient errors only, and measure the resource use of each attempt."""

    @functools.wraps(work)
    def tried(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            with measured():
                return work(*args, **kwargs)
        except (AirflowFailException, AirflowSkipException):
            raise
        except Exception as error:
            if is_transient(error):
                raise
            raise AirflowFailException(str(error) or type(error).__name__) from error

    return tried


def sentence(context: Context) -> str:
    """Return the failure message: the task, the window, the error, and the report or log."""
    instance, window = context["task_instance"], window_key(context)
    failed = f"failed on window {window}" if window else "failed"
    why = " ".join(str(context.get("exception") or "no exception").split()).rstrip(". ")
    where = "" if "Report:" in why else f" Log: {instance.log_url}"
    return f"{instance.dag_id}.{instance.task_id} {failed}: {why}.{where}"


def report_failure(context: Context) -> None:
    """Log the failure message, and post it to Slack when a webhook is configured."""
    text = sentence(context)
    _log.error("%s", text)
    webhook = get_settings().slack_webhook_url
    if webhook is not None:
        post(webhook, text)


def post(webhook: SecretStr, text: str) -> None:
    """Post a message to a Slack webhook; an unavailable Slack never fails a task."""
    request = urllib.request.Request(  # noqa: S310 - the operator configures the address
        webhook.get_secret_value(),
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - as above
            _log.info("the message was posted to Slack")
    except (OSError, ValueError) as problem:
        _log.warning("the message was not posted to Slack: %s", type(problem).__name__)
