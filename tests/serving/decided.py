"""Decisions in the log, as the API writes them at a chosen time."""

import json
from datetime import UTC, datetime
from typing import Any

import psycopg

from contracts.settings import Settings
from ml.reason_sentences import Reason
from serving import docs_page
from serving.decision import Decision, ModelVersion
from serving.decision_log import DecisionLog, Entry
from serving.request import Reader
from serving.store import Payment
from serving.tokens import Tokens

MODEL = ModelVersion("fraud_detector_sparkov", 3)
REASONS = [Reason("HIGH_AMOUNT", "The amount is high."), Reason("AMOUNT", "The amount is 943.22.")]


def log_decisions(settings: Settings, at: datetime, *names: str, **change: Any) -> None:
    """Write decisions on payments with these names to the log; `change` is of the decisions."""
    reader = Reader(Tokens(settings.pseudonym_key_file))
    entries = list[tuple[Payment, Entry, str]]()
    for name in names:
        request = docs_page.WHOLE | {"transaction_id": name, "timestamp": at.isoformat()}
        payment = reader.payment(json.dumps(request).encode(), datetime.now(UTC))
        values = {
            **{"request_id": f"request {name}", "transaction_id": name},
            **{"source_system": payment["source_system"], "risk_score": 0.75},
            **{"risk_level": "HIGH", "recommendation": "REVIEW", "reason_codes": REASONS},
            **{"model": MODEL, "rules_version": 1, "feature_list_version": "2"},
            **{"features": {"amount": 943.22}, "degraded": False, "degraded_causes": []},
            **{"recorded": True, "decided_at": at, "duration_ms": 12.5, **change},
        }
        entry = Entry(reader.hash_of(payment), Decision(**values))
        entries.append((payment, entry, "tester"))
    with psycopg.connect(settings.warehouse.dsn("api")) as connection:
        DecisionLog(connection).add(entries)
