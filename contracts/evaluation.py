"""Constants of the model metrics, shared by Python (`ml/evaluate.py`) and the marts."""

from typing import Final

CARDS_A_DAY: Final = 100
"""Cards that investigators can check in a day, as in the handbook, chapter 4."""
CALIBRATION_EDGES: Final = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Edges of the score bins: narrow bins for low scores; the last bin includes 1."""
DRIFT_LIMITS: Final = (0.1, 0.25)
"""Population stability indices that mark a moderate and a large shift (Siddiqi 2006)."""
