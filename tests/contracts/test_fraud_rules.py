from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts.fraud_rules
from contracts.columns import RISK_LEVELS
from contracts.fraud_rules import VELOCITIES, FraudRulesError, fraud_rules, read
from sources.currencies import ISO_4217, minor_unit_digits

DAY = date(2026, 6, 1)
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("HIGH_AMOUNT", {"amount": Decimal("10000.01")}, {"amount": Decimal("10000.00")}),
    (
        "VELOCITY_MULTI_CITY",
        {"card_transaction_count_60s": 4, "card_city_count_60s": 2},
        {"card_transaction_count_60s": 4, "card_city_count_60s": 1},
    ),
    ("UNUSUAL_HOUR", {"local_hour_of_day": 2}, {"local_hour_of_day": 5}),
    (
        "NEW_DEVICE_HIGH_AMOUNT",
        {"is_new_device": True, "amount_to_mean_ratio": 5.0},
        {"is_new_device": False, "amount_to_mean_ratio": 5.0},
    ),
    (
        "IMPOSSIBLE_TRAVEL",
        {"travel_speed_km_per_hour": 1000.5},
        {"travel_speed_km_per_hour": 1000.0},
    ),
    ("CARD_TESTING", {"card_merchant_count_300s": 6}, {"card_merchant_count_300s": 5}),
]


PAYMENT: dict[str, Any] = {
    "source_system": "sparkov",
    "event_date": DAY,
    "customer_id": "0a" * 16,
    "counterparty_id": "M1",
    "currency": "USD",
}


def codes(figures: Mapping[str, Any], **payment: Any) -> list[str]:
    return [rule.code for rule in fraud_rules().fired({**PAYMENT, **payment, **figures})]


@pytest.mark.parametrize(("code", "fires", "does_not"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_fires_beyond_its_limit_only(
    code: str, fires: dict[str, Any], does_not: dict[str, Any]
) -> None:
    assert codes(fires) == [code]
    assert codes(does_not) == []
    assert codes(fires, event_date=date(2025, 12, 31)) == []


def test_each_rule_has_a_case() -> None:
    assert [rule.code for rule in fraud_rules().rules] == [case[0] for case in CASES]


@pytest.mark.parametrize(
    ("currency", "amount", "fires"),
    [
        ("JPY", "1500000", False),
        ("JPY", "1500001", True),
        ("KWD", "3000.001", True),
        ("EUR", "10000.00", False),
        ("EUR", "10000.01", True),
        ("XXX", "10000.01", True),
    ],
)
def test_an_amount_is_high_in_its_currency(currency: str, amount: str, fires: bool) -> None:
    assert (codes({"amount": Decimal(amount)}, currency=currency) == ["HIGH_AMOUNT"]) is fires


def test_limits_are_of_known_currencies_and_their_decimals() -> None:
    for rule in fraud_rules().rules:
        for condition in rule.when:
            for currency, limit in condition.by_currency.items():
                assert currency in ISO_4217
                assert limit == round(limit, minor_unit_digits(currency))


def test_the_most_severe_rule_is_first() -> None:
    everything = {name: value for _, fires, _ in CASES for name, value in fires.items()}
    fired = fraud_rules().fired({**PAYMENT, **everything})
    levels = [RISK_LEVELS.index(rule.severity) for rule in fired]
    assert len(fired) == len(CASES)
    assert levels == sorted(levels, reverse=True)


def test_a_figure_that_is_no_number_fulfils_no_condition() -> None:
    assert codes({"local_hour_of_day": float("nan"), "travel_speed_km_per_hour": None}) == []


FIGURE = st.none() | st.booleans() | st.integers() | st.floats() | st.decimals(allow_nan=False)


@given(st.dictionaries(st.sampled_from(["amount", "is_new_device", *VELOCITIES]), FIGURE))
def test_any_figures_have_a_verdict(figures: dict[str, Any]) -> None:
    fired = codes(figures)
    unknown = {name: None for name, value in figures.items() if value is None}
    assert codes(unknown) == []
    assert set(fired) <= {case[0] for case in CASES}


A_CUSTOMER = """
suppressions:
  - rule: A
    source_system: sparkov
    customer_id: 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
    owner: o
    reason: Works at night.
    expires: 2026-06-02
"""
A_MERCHANT = A_CUSTOMER.replace("customer_id: " + "0a" * 16, "counterparty_id: M1")
SOUND = "version: 1\nrules:\n  - code: A\n    owner: o\n    description: d\n    severity: low\n"
SOUND += "    since: 2026-01-01\n    when:\n      - {figure: amount, above: 1}\n"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("figure: amount", "figure: amuont", "rules.0.when.0: the figure 'amuont' is neither"),
        ("figure: amount", "figure: channel", "the figure 'channel' is neither a column with"),
        ("above: 1", "over: 1", "rules.0.when.0.over: Extra inputs are not permitted"),
        (", above: 1", "", "give limits \\(above, at_least, below\\), or is"),
        ("above: 1", "above: 1, is: true", "give limits"),
        ("above: 1", "is: true, by_currency: {EUR: 1}", "by_currency replaces above"),
        ("above: 1", "above: 1, by_currency: {euro: 1}", "by_currency.euro"),
        ("severity: low", "severity: severe", "rules.0.severity"),
        ("owner: o", "owner: ' '", "rules.0.owner"),
        ("since: 2026-01-01", "since: soon", "rules.0.since"),
        ("code: A", "code: high amount", "rules.0.code"),
        ("version: 1", "version: [", "no YAML file of rules"),
        ("owner: o", "owner: o\n    owner: p", "no YAML file of rules"),
        ("rule: A", "rule: B", "a suppression names B, which is no rule: use one of A"),
        ("    customer_id:", "    customer:", "suppressions.0.customer: Extra inputs"),
        ("    customer_id:", "    counterparty_id: M1\n    customer_id:", "one of them"),
        ("    customer_id: " + "0a" * 16 + "\n", "", "give customer_id or counterparty_id"),
        ("id: " + "0a" * 16, "id: C0000020", "suppressions.0: customer_id is no token of 32"),
        ("source_system: sparkov", "source_system: ''", "suppressions.0.source_system"),
        ("reason: Works at night.", "reason:", "suppressions.0.reason"),
        ("expires: 2026-06-02", "expires: never", "suppressions.0.expires"),
        ("    expires: 2026-06-02\n", "", "suppressions.0.expires: Field required"),
        (
            A_CUSTOMER,
            A_CUSTOMER + A_CUSTOMER.split("suppressions:\n")[1],
            "the suppression of A for customer_id (0a)+ of sparkov stands twice: keep one",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    path = tmp_path / "rules.yaml"
    sound = SOUND + A_CUSTOMER
    assert before in sound
    path.write_text(sound.replace(before, after))
    with pytest.raises(FraudRulesError, match=sentence):
        read(path)


def test_a_code_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(SOUND + SOUND.split("rules:\n")[1])
    with pytest.raises(FraudRulesError, match="A stands twice"):
        read(path)


@pytest.mark.parametrize("party", [A_CUSTOMER, A_MERCHANT])
def test_a_suppressed_rule_fires_for_others_and_when_it_has_expired(
    tmp_path: Path, party: str
) -> None:
    path = tmp_path / "rules.yaml"
    other_rule = SOUND.split("rules:\n")[1].replace("code: A", "code: B")
    path.write_text(SOUND + other_rule + party)
    rules = read(path)

    def fired(**changes: Any) -> list[str]:
        return [rule.code for rule in rules.fired({**PAYMENT, "amount": 2, **changes})]

    assert fired() == ["B"]
    assert [rule.code for rule in rules.firing({**PAYMENT, "amount": 2})] == ["B"]
    assert fired(event_date=date(2026, 6, 2)) == ["A", "B"]
    assert fired(source_system="simulator") == ["A", "B"]
    changed = "customer_id" if party is A_CUSTOMER else "counterparty_id"
    assert fired(**{changed: "b0" * 16}) == ["A", "B"]
    assert fired(**{changed: None}) == ["A", "B"]


def test_the_log_names_a_suppression_that_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.yaml"
    lasting = A_MERCHANT.split("suppressions:")[1].replace("2026-06-02", "2199-12-31")
    path.write_text(SOUND + A_CUSTOMER.replace("2026-06-02", "2024-06-02") + lasting)
    monkeypatch.setattr(contracts.fraud_rules, "read", lambda: read(path))
    fraud_rules.__wrapped__()
    assert [record.getMessage() for record in caplog.records] == [
        f"fraud_rules.yaml: the suppression of A for customer_id {'0a' * 16} of sparkov expired on"
        " 2024-06-02 and has no effect: remove or renew it (o)."
    ]
