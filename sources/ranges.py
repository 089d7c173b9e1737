"""Ranges of a source in which its gates stay open.

A range that was not measured keeps its default, which all data satisfies.
"""

from dataclasses import dataclass

Range = tuple[float, float]
_ANY: Range = (0.0, 1.0)


@dataclass(frozen=True)
class Ranges:
    """Ranges for every day of a source; shares are checked on days with at least 100 payments.

    - `morning_share`: payments before noon UTC.
    - `fraud_share`: known frauds; `usual_fraud_share` is where a warning starts.
    - `long_fraud_share`: known frauds over a window of four weeks or more.
    - `unlabelled_share`: maximum share of payments of a day without a label.
    - `quarantined_share`: maximum share of refused rows of a delivery; `usual_quarantined_share`
      warns.
    - `late_share`: maximum share of rows of a delivery that are dated before its window.
    - `usual_amount`: the largest amount of a payment without a warning; None when unknown.
    - `alert_share`: maximum share of alerts in a batch of scores; `usual_alert_share` warns.
    - `sometimes_null`: columns that the source fills, but not in each row.
    - `is_steady`: days resemble earlier days. A day that is far from them closes a gate; for other
      sources it causes a warning.
    """

    morning_share: Range = _ANY
    fraud_share: Range = _ANY
    usual_fraud_share: float = 1.0
    long_fraud_share: Range = _ANY
    unlabelled_share: float = 0.0
    quarantined_share: float = 0.05
    usual_quarantined_share: float = 0.005
    late_share: float = 0.2
    usual_amount: float | None = None
    alert_share: float = 0.25
    usual_alert_share: float = 0.25
    sometimes_null: frozenset[str] = frozenset()
    is_steady: bool = False
