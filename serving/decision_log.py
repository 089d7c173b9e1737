"""The decision log: a decision is stored before its answer leaves, and once for each payment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import psycopg

from contracts.serving_tables import RECENT_PAYMENT
from serving.decision import Decision, Shadow
from serving.decision_chain import DECISIONS, NO_HASH, canonical, hash_of
from serving.store import Payment

_NAMES: Final = DECISIONS.column_names
_ALSO: Final = ("transaction_type", "channel", "payment_method", "ip_hash")
"""Fields of a request that no feature reads."""
_FIND: Final = (
    f"select event_id, request_hash, answer from {DECISIONS.name}"  # noqa: S608 - our own names
    " where source_system = %s and event_id = any(%s)"
)
_INSERT: Final = (
    f"insert into {DECISIONS.name} ({', '.join(_NAMES)})"  # noqa: S608 - our own names
    f" values ({', '.join(f'%({name})s' for name in _NAMES)})"
)
_LOCK: Final = "select pg_advisory_xact_lock(hashtext('serving.decisions'))"
_HEAD: Final = (
    f"select chain_position, row_hash from {DECISIONS.name}"  # noqa: S608 - our own names
    " order by chain_position desc limit 1"
)
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Entry(NamedTuple):
    """A decision on a payment, with the hash over the payment's content.

    `shadow` is stored, and not read again.
    """

    request_hash: str
    decision: Decision
    shadow: Shadow | None = None


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

        `entries` have the payment, its decision and the user who sent the request; the payments are
        of one source. Rows are chained one after the other: until the end of the transaction, other
        processes wait.
        """
        self._connection.execute(_LOCK.encode())
        # A separate statement, which sees the rows that were committed before the lock was free.
        head = self._connection.execute(_HEAD.encode(), prepare=True).fetchone()
        source = entries[0][0]["source_system"]
        known = self.find(source, [payment["event_id"] for payment, _, _ in entries])
        position, previous = head or (0, NO_HASH)
        rows = []
        for payment, entry, caller in entries:
            if payment["event_id"] not in known:
                position += 1
                rows.append(_row(payment, *entry, caller, position, previous))
                previous = rows[-1]["row_hash"]
        with self._connection.cursor() as cursor:
            cursor.executemany(_INSERT.encode(), rows)
        return {row["event_id"] for row in rows}


def _row(
    payment: Payment,
    request_hash: str,
    decision: Decision,
    shadow: Shadow | None,
    caller: str,
    position: int,
    previous_hash: str,
) -> dict[str, Any]:
    """Return a row of serving.decisions."""
    model = decision.model
    request = _encode({name: payment[name] for name in (*RECENT_PAYMENT, *_ALSO)})
    row: dict[str, Any] = {
        **{name: payment[name] for name in _NAMES if name in payment},
        "request_id": decision.request_id,
        "request_hash": request_hash,
        "request": msgspec.json.decode(request),
        "answer": _encode(decision).decode(),
        "model_name": model and model.name,
        "model_version": model and model.version,
        "rules_version": decision.rules_version,
        "feature_list_version": decision.feature_list_version,
        "score": decision.risk_score,
        "shadow_model_version": shadow and shadow.version,
        "shadow_score": shadow and shadow.score,
        "risk_level": decision.risk_level.lower(),
        "decision": decision.recommendation.lower(),
        "is_degraded": decision.degraded,
        "caller": caller,
        "decided_at": decision.decided_at,
        "chain_position": position,
        "previous_hash": previous_hash,
        "row_hash": None,
    }
    return row | {"row_hash": hash_of(canonical(row)), "request": request.decode()}
