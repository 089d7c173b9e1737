"""Ranges of a source in which its gates stay open.

A range that was not measured keeps its default, which all data satisfies.
"""

from dataclasses import dataclass

Range = tuple[float, float]
_ANY: Range = (0.0, 1.0)


@dataclass(frozen=True)
class Ranges:
    """Ranges for every day of a source; shares are checked on days with at least 100 payments.

    - `morning_share`: payments before noon, in the zone of the source.
    - `fraud_share`: known frauds; `usual_fraud_share` is where a warning starts.
    - `long_fraud_share`: known frauds over a window of four weeks or more.
    - `unlabelled_share`: most payments of a day without a label.
    - `quarantined_share`: most refused rows of a delivery; `usual_quarantined_share` warns.
    - `late_share`, `early_share`: most rows of a delivery that are dated before its window, and
      after it.
    - `alert_share`: most alerts among a batch of scores; `usual_alert_share` warns.
    - `sometimes_null`: columns that the source fills, though not in each row.
    - `is_steady`: days resemble those before them: one that is far from its past closes a gate,
      where that of another source is only warned of.
    """

    morning_share: Range = _ANY
    fraud_share: Range = _ANY
    usual_fraud_share: float = 1.0
    long_fraud_share: Range = _ANY
    unlabelled_share: float = 0.0
    quarantined_share: float = 0.05
    usual_quarantined_share: float = 0.005
    late_share: float = 0.2
    early_share: float = 0.001
    alert_share: float = 0.25
    usual_alert_share: float = 0.25
    sometimes_null: frozenset[str] = frozenset()
    is_steady: bool = False
