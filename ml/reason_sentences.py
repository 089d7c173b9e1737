"""Reasons of a decision: codes, and sentences that compare a payment with its customer's normal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.columns import COLUMNS, MOST_REASONS
from contracts.features import (
    HABIT_PAYMENTS,
    HISTORY_DAYS,
    LABEL_DELAY_DAYS,
    PRIOR_SHARE,
    SOURCE_FEATURES,
)
from contracts.fraud_rules import VELOCITIES, FraudRule
from sources.currencies import UNKNOWN_CURRENCY, minor_unit_digits

_SECONDS_A_DAY: Final = 86_400
_WINDOWS: Final = {
    "60s": "a minute",
    "300s": "5 minutes",
    "3600s": "an hour",
    "1h": "an hour",
    "24h": "24 hours",
    "1d": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
}
_BEFORE_LABELS: Final = f"that ended {LABEL_DELAY_DAYS} days before"
_OF_TRAINING: Final = "; the median in training is {typical}"


@dataclass(frozen=True)
class _Text:
    """A sentence about a feature in parts, without the full stop.

    A part names in braces the features whose values it needs. `usual` is omitted if one of them is
    unknown. `unknown` takes the place of `fact` if the feature itself has no value. A flag that is
    false has the fact `if_false`.
    """

    fact: str
    usual: str = _OF_TRAINING
    unknown: str = ""
    if_false: str = ""


_MEAN: Final = "; the customer's mean of 30 days is {customer_amount_mean_30d}"
_DAILY_COUNT: Final = "; the mean of 30 days is {customer_daily_count} a day"
_DAILY_AMOUNT: Final = "; the mean of 30 days is {customer_daily_amount} a day"
_HOURS_APART: Final = ", {usual_hour_distance_hours} from the customer's usual time of day"
_ONLY: Final = "; the customer has no other payment in 30 days"
"""Takes the place of `usual` when the customer's only payment in 30 days is this one."""
_UNKNOWN_COUNTERPARTY: Final = "The earlier payments at the counterparty are unknown"

_FAMILIES: Final[Mapping[str, _Text]] = {
    "customer_transaction_count": _Text("The customer made {value} in {window}", _DAILY_COUNT),
    "customer_amount_mean": _Text(
        "The customer's mean amount in {window} is {value}",
        "; in 30 days it is {customer_amount_mean_30d}",
    ),
    "customer_amount_sum": _Text("The customer paid {value} in {window}", _DAILY_AMOUNT),
    "merchant_transaction_count": _Text(
        f"The counterparty had {{value}} in the {{window}} {_BEFORE_LABELS}",
        "; its mean of 30 days is {merchant_daily_count} a day",
        _UNKNOWN_COUNTERPARTY,
    ),
    "merchant_fraud_share": _Text(
        f"The share of known fraud at the counterparty in the {{window}} {_BEFORE_LABELS} is"
        " {value} of {merchant_payments}",
        "; it is {merchant_fraud_share_30d} in 30 days",
        _UNKNOWN_COUNTERPARTY,
    ),
    "payee_payer_count": _Text(
        "{value} paid the counterparty in {window}",
        "; {payee_payer_count_7d} did in 7 days",
        "The payers of the counterparty are unknown",
    ),
    "card_transaction_count": _Text(
        "The card made {value} in {window}",
        "; the customer's mean of 30 days is {customer_daily_count} a day",
    ),
    "card_city_count": _Text("The card paid in {value} in {window}", ""),
    "card_country_count": _Text("The card paid in {value} in {window}", ""),
    "card_merchant_count": _Text("The card paid at {value} in {window}", ""),
    "card_amount_sum": _Text(
        "The card paid {value} in {window}",
        "; the customer's mean of 30 days is {customer_daily_amount} a day",
    ),
}
"""Texts of features that differ in their window only."""
_TEXTS: Final[Mapping[str, _Text]] = {
    "amount": _Text("The amount is {value}", _MEAN),
    "hour_of_day": _Text("The payment was made in the hour from {value} UTC", _HOURS_APART),
    "local_hour_of_day": _Text(
        "The payment was made in the hour from {value}, solar time of its place", _HOURS_APART
    ),
    "is_weekend": _Text(
        "The payment was made on a weekend, UTC", "", "", "The payment was made on a weekday, UTC"
    ),
    "is_night": _Text(
        "The payment was made between 00:00 and 07:00 UTC",
        _HOURS_APART,
        "",
        "The payment was made between 07:00 and 24:00 UTC",
    ),
    "customer_transaction_count_30d": _Text("The customer made {value} in 30 days"),
    "customer_amount_mean_30d": _Text(
        "The customer's mean amount in 30 days is {value}", "; this payment is {amount}"
    ),
    "merchant_transaction_count_30d": _Text(
        f"The counterparty had {{value}} in the 30 days {_BEFORE_LABELS}",
        unknown=_UNKNOWN_COUNTERPARTY,
    ),
    "merchant_fraud_share_30d": _Text(
        f"The share of known fraud at the counterparty in the 30 days {_BEFORE_LABELS} is {{value}}"
        " of {merchant_payments}",
        unknown=_UNKNOWN_COUNTERPARTY,
    ),
    "payee_payer_count_7d": _Text(
        "{value} paid the counterparty in 7 days",
        "; {payee_payer_count_1d} did in 24 hours",
        "The payers of the counterparty are unknown",
    ),
    "time_since_last_seconds": _Text(
        "The customer's previous payment was {value} before",
        "; the mean interval of 30 days is {customer_mean_interval}",
        "The customer has no other payment in 30 days",
    ),
    "home_distance_km": _Text(
        "The payment was made {value} from the customer's home",
        unknown="The distance of the payment from the customer's home is unknown",
    ),
    "amount_to_mean_ratio": _Text(
        "The amount of {amount} is {value} times the customer's 30-day mean of"
        " {customer_amount_mean_30d}",
        "",
    ),
    "amount_log_score": _Text(
        "The amount of {amount} is {value} the customer's usual amounts, on a logarithmic scale",
        _MEAN,
        "The customer's usual amounts are unknown, with fewer than"
        f" {HABIT_PAYMENTS} payments in the 30 days before",
    ),
    "usual_hour_distance_hours": _Text(
        "The payment was made {value} from the customer's usual time of day",
        ", in the hour from {hour_of_day} UTC",
        "The customer's usual time of day is unknown, with fewer than"
        f" {HABIT_PAYMENTS} payments in the 30 days before or no times from the source",
    ),
    "travel_speed_km_per_hour": _Text(
        "The customer would have travelled at {value} since the previous payment with a place",
        unknown="The speed of travel is unknown, without two payments with a place in 30 days",
    ),
    **{
        f"is_new_{name}": _Text(
            f"The payment is the customer's first {what} in 30 days",
            "; the customer made {customer_transaction_count_30d} in that time",
            f"It is unknown whether the customer has paid {what} before",
            f"The customer has paid {what} in the 30 days before",
        )
        for name, what in (
            ("merchant", "to this counterparty"),
            ("category", "in this merchant category"),
            ("country", "in this country"),
            ("device", "from this device"),
        )
    },
    **{
        f"{whose}_fraud_share_smoothed_30d": _Text(
            f"The smoothed share of known fraud {where} in the 30 days {_BEFORE_LABELS} is"
            " {value}",
            f"; it is {PRIOR_SHARE:.1%} without payments",
            f"The earlier payments {where} are unknown",
        )
        for whose, where in (
            ("merchant", "at the counterparty"),
            ("category", "in the merchant category"),
        )
    },
    "received_amount_24h": _Text(
        "The customer received {value} from other customers in the 24 hours before",
        "; this payment is {amount}",
        "It is unknown what the customer received from other customers",
    ),
    "amount_to_received_ratio": _Text(
        "The amount of {amount} is {value} times the {received_amount_24h} that the customer"
        " received from other customers in the 24 hours before",
        "",
        "The customer is not known to have received money in the 24 hours before",
    ),
}
_DERIVED: Final = {
    "customer_daily_count": ("customer_transaction_count_30d",),
    "customer_daily_amount": ("customer_amount_mean_30d", "customer_transaction_count_30d"),
    "customer_mean_interval": ("customer_transaction_count_30d",),
    "merchant_daily_count": ("merchant_transaction_count_30d",),
}
"""What texts name besides features, with the features that it is computed from."""
_COUNTED: Final = {
    "transaction_count": ("payment", "payments"),
    "payer_count": ("customer", "customers"),
    "city_count": ("city", "cities"),
    "country_count": ("country", "countries"),
    "merchant_count": ("merchant", "merchants"),
}


_SHOWN: Final = {
    "home_distance_km": (1, " km"),
    "travel_speed_km_per_hour": (0, " km/h"),
    "usual_hour_distance_hours": (1, " hours"),
    "amount_to_mean_ratio": (1, ""),
    "amount_to_received_ratio": (2, ""),
}
"""Decimals and unit of figures that are neither money, counts, shares nor times."""


@dataclass(frozen=True)
class Reason:
    """A rule that fired, or a feature that raised the score."""

    code: str
    sentence: str


def reasons_of(
    rules: Sequence[FraudRule],
    features: Iterable[str],
    row: Mapping[str, Any],
    typical: Mapping[str, float],
) -> list[Reason]:
    """Return the reasons of a payment, at most `MOST_REASONS`: rules first, then features.

    `rules` fired for the payment, `features` raised its score, strongest first; `row` and `typical`
    are as in `sentence`.
    """
    reasons = [Reason(rule.code, _rule_sentence(rule, row, typical)) for rule in rules]
    for feature in features:
        if len(reasons) >= MOST_REASONS:
            break
        reasons.append(Reason(feature.upper(), sentence(feature, row, typical)))
    return reasons[:MOST_REASONS]


def sentence(feature: str, row: Mapping[str, Any], typical: Mapping[str, float]) -> str:
    """Return a sentence about a figure of a payment, with the customer's usual where it is known.

    `row` has the figures of the payment by name, and its currency; `typical` the medians of the
    features in training, by name.

    >>> row = {"amount": 943.22, "currency": "USD", "amount_to_mean_ratio": 6.2}
    >>> row |= {"customer_amount_mean_30d": 152.1, "customer_transaction_count_30d": 30}
    >>> sentence("amount_to_mean_ratio", row, {})
    "The amount of 943.22 USD is 6.2 times the customer's 30-day mean of 152.10 USD."
    >>> row |= {"customer_transaction_count_1d": 7}
    >>> sentence("customer_transaction_count_1d", row, {})
    'The customer made 7 payments in 24 hours; the mean of 30 days is 1.0 a day.'
    """
    phrases = _Phrases(feature, row, typical)
    text = _text_of(feature)
    if _is_unknown(phrases.own):
        return f"{text.unknown or f'{feature} is unknown'}."
    usual = text.usual
    if "{customer_" in text.fact + usual and row.get("customer_transaction_count_30d") == 1:
        usual = _ONLY
    try:
        fact = (text.fact if phrases.own is not False else text.if_false).format_map(phrases)
    except _Unknown:
        return f"{feature} is {phrases['value']}."
    try:
        return f"{fact}{usual.format_map(phrases)}."
    except _Unknown:
        return f"{fact}."


def _rule_sentence(rule: FraudRule, row: Mapping[str, Any], typical: Mapping[str, float]) -> str:
    """Return the description of a rule, and a sentence about each figure that made it fire."""
    figures = dict.fromkeys(condition.figure for condition in rule.when)
    description = f"{rule.description.rstrip('.')}."
    return " ".join([description, *(sentence(figure, row, typical) for figure in figures)])


def _text_of(feature: str) -> _Text:
    family = feature.rpartition("_")[0]
    if feature not in _TEXTS and family not in _FAMILIES:
        return _Text(f"{feature} is {{value}}")
    return _TEXTS.get(feature) or _FAMILIES[family]


class _Unknown(LookupError):
    """Raised when a sentence needs a figure that has no value."""


class _Phrases(dict[str, str]):
    """The figures of a payment as phrases, for `str.format_map`; `value` is the feature itself."""

    def __init__(self, feature: str, row: Mapping[str, Any], typical: Mapping[str, float]) -> None:
        self._window = feature.rpartition("_")[2]
        super().__init__(window=_WINDOWS.get(self._window, ""))
        self._feature, self._row, self._typical = feature, row, typical
        self.own = _value(feature, row)

    def __missing__(self, name: str) -> str:
        if name == "value":
            return self._phrase(self._feature, self.own)
        if name == "typical":
            return self._phrase(self._feature, self._typical.get(self._feature))
        if name == "merchant_payments":
            return self[f"merchant_transaction_count_{self._window}"]
        if name not in _DERIVED:
            return self._phrase(name, _value(name, self._row))
        parts = [_value(part, self._row) for part in _DERIVED[name]]
        if any(_is_unknown(part) for part in parts):
            raise _Unknown(name)
        numbers = [float(part) for part in parts]
        if name == "customer_mean_interval":
            return _duration(HISTORY_DAYS * _SECONDS_A_DAY / numbers[0])
        if name == "customer_daily_amount":
            return self._money(numbers[0] * numbers[1] / HISTORY_DAYS)
        return f"{numbers[0] / HISTORY_DAYS:,.1f}"

    def _phrase(self, name: str, value: Any) -> str:
        """Return the value of a figure in words; a value may be of any type of number."""
        if _is_unknown(value):
            raise _Unknown(name)
        if isinstance(value, bool):
            return str(value).lower()
        column = COLUMNS.get(name) or VELOCITIES.get(name)
        for ending, (singular, plural) in _COUNTED.items():
            if name.rpartition("_")[0].endswith(ending):
                number = f"{value:,.0f}"
                return f"{number} {singular if number == '1' else plural}"
        if column and column.unit == "currency":
            return self._money(value)
        if name.endswith("hour_of_day"):
            return f"{int(value):02d}:00"
        if name.endswith("_seconds"):
            return _duration(float(value))
        if name == "amount_log_score":
            side = "above" if value >= 0 else "below"
            return f"{abs(value):,.1f} standard deviations {side}"
        if "_share_" in name:
            return f"{value:.1%}"
        if name in _SHOWN:
            digits, unit = _SHOWN[name]
            return f"{value:,.{digits}f}{unit}"
        return f"{value:,.4f}".rstrip("0").rstrip(".")

    def _money(self, value: Any) -> str:
        currency = str(self._row["currency"])
        amount = f"{value:,.{minor_unit_digits(currency)}f}"
        return amount if currency == UNKNOWN_CURRENCY else f"{amount} {currency}"


def _value(name: str, row: Mapping[str, Any]) -> Any:
    """Return a figure of a row; a feature of the source is in the map of these."""
    if name in row:
        return row[name]
    return dict(row.get(SOURCE_FEATURES) or ()).get(name)


def _is_unknown(value: Any) -> bool:
    return value is None or value != value


def _duration(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two.

    >>> [_duration(seconds) for seconds in (1, 90, 7_200, 86_400 * 2.5)]
    ['1 second', '90 seconds', '2.0 hours', '2.5 days']
    """
    if seconds < 2 * 60:
        return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"
    if seconds < 2 * 3_600:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 2 * _SECONDS_A_DAY:
        return f"{seconds / 3_600:.1f} hours"
    return f"{seconds / _SECONDS_A_DAY:.1f} days"
