"""The gates, in flow order: each a plain function that judges and never raises for what it found.

A caller records the result first and then lets `GateResult.require` stop the line.
"""

from expectations.processed import gate_processed
from expectations.raw import gate_raw
from expectations.sandbox import gate_sandbox
from expectations.scores import gate_scores
from expectations.warehouse import gate_production, gate_staging

__all__ = [
    "gate_processed",
    "gate_production",
    "gate_raw",
    "gate_sandbox",
    "gate_scores",
    "gate_staging",
]
