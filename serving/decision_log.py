"""The decision log: a decision is stored before its answer leaves, and once for each payment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import psycopg

from contracts.serving_tables import RECENT_PAYMENT
from contracts.tables import TABLES
from serving.decision import Decision
from serving.store import Payment

DECISIONS: Final = TABLES["serving.decisions"]
_NAMES: Final = DECISIONS.column_names
_ALSO: Final = ("transaction_type", "channel", "payment_method", "ip_hash")
"""Fields of a request that no feature reads."""
_FIND: Final = (
    f"select event_id, request_hash, answer from {DECISIONS.name}"  # noqa: S608 - our own names
    " where source_system = %s and event_id = any(%s)"
)
_INSERT: Final = (
    f"insert into {DECISIONS.name} ({', '.join(_NAMES)})"  # noqa: S608 - our own names
    f" values ({', '.join(f'%({name})s' for name in _NAMES)}) on conflict do nothing"
    " returning event_id"
)
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Entry(NamedTuple):
    """A decision on a payment, with the hash over the payment's content."""

    request_hash: str
    decision: Decision


class DecisionLog:
    """The log in serving.decisions, in the transaction of a connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Use a connection of the role `api`."""
        self._connection = connection

    def find(self, source: str, event_ids: Sequence[str]) -> dict[str, Entry]:
        """Return the stored decisions on payments of a source, by `event_id`."""
        rows = self._connection.execute(_FIND.encode(), (source, event_ids), prepare=True)
        return {
            event_id: Entry(request_hash, msgspec.json.decode(answer, type=Decision))
            for event_id, request_hash, answer in rows
        }

    def add(self, entries: Sequence[tuple[Payment, Entry, str]]) -> set[str]:
        """Store decisions; return the payments for which no other request has stored one.

        `entries` have the payment, its decision and the user who sent the request. The payments are
        in the order of `event_id`, so that two processes do not wait for each other.
        """
        with self._connection.cursor() as cursor:
            values = [_values(payment, *entry, caller) for payment, entry, caller in entries]
            cursor.executemany(_INSERT.encode(), values, returning=True)
            return {event_id for result in cursor.results() for (event_id,) in result}


def _values(payment: Payment, request_hash: str, decision: Decision, caller: str) -> dict[str, Any]:
    """Return a row of serving.decisions."""
    model = decision.model
    request = {name: payment[name] for name in (*RECENT_PAYMENT, *_ALSO)}
    return {
        **{name: payment[name] for name in _NAMES if name in payment},
        "request_id": decision.request_id,
        "request_hash": request_hash,
        "request": _encode(request).decode(),
        "answer": _encode(decision).decode(),
        "model_name": model and model.name,
        "model_version": model and model.version,
        "rules_version": decision.rules_version,
        "feature_list_version": decision.feature_list_version,
        "score": decision.risk_score,
        "risk_level": decision.risk_level.lower(),
        "decision": decision.recommendation.lower(),
        "is_degraded": decision.degraded,
        "caller": caller,
        "decided_at": decision.decided_at,
    }
