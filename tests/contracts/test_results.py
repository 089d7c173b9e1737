from decimal import Decimal

import pytest

from contracts.results import Balance, CheckResult, ConservationError, GateFailed, GateResult
from contracts.windows import Window


def _check(**balance: int | Decimal) -> None:
    whole = {"rows_in": 10, "rows_out": 10} | balance
    Balance("sparkov", "USD", **whole).check("process")  # type: ignore[arg-type]


def test_a_row_that_is_not_accounted_for_is_named() -> None:
    with pytest.raises(ConservationError, match="1 rows"):
        _check(rows_quarantined=1, rows_out=8)


def test_a_cent_that_is_not_accounted_for_is_named() -> None:
    with pytest.raises(ConservationError, match=r"0\.01"):
        _check(amount_in=Decimal("5.00"), amount_out=Decimal("4.99"))


def test_money_that_mended_rules_read_more_is_a_flow_of_its_own() -> None:
    more = {"amount_in": Decimal("5.00"), "amount_out": Decimal("5.01")}
    _check(**more, amount_restated=Decimal("0.01"))
    with pytest.raises(ConservationError, match=r"0\.01"):
        _check(**more, amount_restated=Decimal("0.02"))


def _gate(*checks: CheckResult) -> GateResult:
    window = Window.parse("sparkov@2024-05-01")
    return GateResult("raw", window, "r1", checks, report="docs/gx/index.html")


def test_a_critical_failure_closes_the_gate_in_one_sentence() -> None:
    gate = _gate(
        CheckResult("volume", "raw", "critical", False, observed="3 rows", expected="at least 50"),
        CheckResult("layout", "raw", "critical", True),
    )
    closed = r"gate raw closed on window sparkov@2024-05-01: volume on raw"
    with pytest.raises(GateFailed, match=closed):
        gate.require()


def test_a_warning_leaves_the_gate_open() -> None:
    _gate(
        CheckResult("volume", "raw", "warning", False),
        CheckResult("layout", "raw", "critical", True),
    ).require()


def test_a_gate_that_checked_nothing_is_closed() -> None:
    with pytest.raises(GateFailed, match="ran no check"):
        _gate().require()
