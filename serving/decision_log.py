"""The decision log: a decision is stored before its answer leaves, and once for each payment."""

from __future__ import annotations

from typing import Any, Final

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
    f"select request_hash, answer from {DECISIONS.name}"  # noqa: S608 - our own names
    " where source_system = %s and event_id = %s"
)
_INSERT: Final = (
    f"insert into {DECISIONS.name} ({', '.join(_NAMES)})"  # noqa: S608 - our own names
    f" values ({', '.join(f'%({name})s' for name in _NAMES)}) on conflict do nothing"
)
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class OtherContentError(ValueError):
    """Raised when a payment was decided before with other content."""


class DecisionLog:
    """The log in serving.decisions, in the transaction of a connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Use a connection of the role `api`."""
        self._connection = connection

    def find(self, payment: Payment, request_hash: str) -> Decision | None:
        """Return the decision on a payment, None if there is none.

        Raises:
            OtherContentError: when the payment was decided with other content.
        """
        key = (payment["source_system"], payment["event_id"])
        row = self._connection.execute(_FIND.encode(), key, prepare=True).fetchone()
        if row is None:
            return None
        if row[0] != request_hash:
            raise OtherContentError
        return msgspec.json.decode(row[1], type=Decision)

    def add(self, payment: Payment, request_hash: str, decision: Decision, caller: str) -> bool:
        """Store a decision; return False if another request has stored one for the payment."""
        model = decision.model
        request = {name: payment[name] for name in (*RECENT_PAYMENT, *_ALSO)}
        values: dict[str, Any] = {
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
        done = self._connection.execute(_INSERT.encode(), values, prepare=True)
        return done.rowcount == 1
