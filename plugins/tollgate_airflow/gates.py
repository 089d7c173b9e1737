"""Record the result of a gate, and fail the task when the gate closes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from contracts.results import GateResult
from tollgate_airflow import connections

_log = logging.getLogger(__name__)


def require_passed(result: GateResult, undo: Callable[[], None] | None = None) -> str:
    """Record a gate result; when the gate is closed, render its report, call `undo` and raise.

    Returns: a sentence for the result of the task.

    Raises:
        GateFailed: when a critical check failed.
    """
    from warehouse.ledger import record_gate

    record_gate(connections.warehouse("loader"), result)
    failed = [check for check in result.checks if not check.passed]
    for check in failed:
        _log.warning(
            "%s check %s on %s failed: observed %s, expected %s. %s",
            check.severity,
            check.name,
            check.table,
            check.observed,
            check.expected,
            check.reason or "",
        )
    if not result.passed:
        _show_report()
        if undo is not None:
            undo()
    result.require()
    passed = len(result.checks) - len(failed)
    return (
        f"gate {result.gate} open on {result.window.key}: {passed} of {len(result.checks)} passed"
    )


def _show_report() -> None:
    """Render the report, which the failure message names."""
    from contracts.settings import get_settings
    from expectations.docs import update_data_docs

    try:
        update_data_docs(get_settings().state_dir)
    except Exception:  # a failed page must not replace the result of the gate
        _log.exception("the report could not be rendered")
