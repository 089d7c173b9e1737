"""The gates, in flow order: plain functions, which return failed checks and do not raise.

A caller records the result first, then calls `GateResult.require`, which raises when the gate
closes.
"""

from expectations.decisions import gate_landed_decisions, gate_staged_decisions
from expectations.processed import gate_processed
from expectations.raw import gate_raw
from expectations.sandbox import gate_sandbox
from expectations.scores import gate_scores
from expectations.stream import gate_stream
from expectations.warehouse import gate_production, gate_staging

__all__ = [
    "gate_landed_decisions",
    "gate_processed",
    "gate_production",
    "gate_raw",
    "gate_sandbox",
    "gate_scores",
    "gate_staged_decisions",
    "gate_staging",
    "gate_stream",
]
