import json
from datetime import date
from decimal import Decimal

import pytest

from contracts.results import (
    Balance,
    CheckResult,
    ConservationError,
    GateFailed,
    GateResult,
    StageResult,
)


def _result(**balance: int | Decimal) -> StageResult:
    whole = {"rows_in": 10, "rows_out": 10} | balance
    return StageResult(
        stage="process",
        window="2024-05-01",
        run_id="r1",
        dates=(date(2024, 5, 1),),
        snapshots={"processed.transactions": 42},
        balances=(Balance("sparkov", "USD", **whole),),  # type: ignore[arg-type]
        details={"objects": 1},
    )


def test_a_result_survives_json() -> None:
    result = _result(amount_in=Decimal("1.10"), amount_out=Decimal("1.10"))
    assert StageResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_a_row_that_is_not_accounted_for_is_named() -> None:
    with pytest.raises(ConservationError, match="1 rows"):
        _result(rows_quarantined=1, rows_out=8).check()


def test_a_cent_that_is_not_accounted_for_is_named() -> None:
    with pytest.raises(ConservationError, match=r"0\.01"):
        _result(amount_in=Decimal("5.00"), amount_out=Decimal("4.99")).check()


def test_money_that_mended_rules_read_more_is_a_flow_of_its_own() -> None:
    more = {"amount_in": Decimal("5.00"), "amount_out": Decimal("5.01")}
    _result(**more, amount_restated=Decimal("0.01")).check()
    with pytest.raises(ConservationError, match=r"0\.01"):
        _result(**more, amount_restated=Decimal("0.02")).check()


def _gate(*checks: CheckResult) -> GateResult:
    return GateResult("raw", "2024-05-01", "r1", checks, report="docs/gx/index.html")


def test_a_critical_failure_closes_the_gate_in_one_sentence() -> None:
    gate = _gate(
        CheckResult("volume", "raw", "critical", False, observed="3 rows", expected="at least 50"),
        CheckResult("layout", "raw", "critical", True),
    )
    with pytest.raises(GateFailed, match=r"gate raw closed on window 2024-05-01: volume on raw"):
        gate.require()


def test_a_warning_leaves_the_gate_open() -> None:
    _gate(
        CheckResult("volume", "raw", "warning", False),
        CheckResult("layout", "raw", "critical", True),
    ).require()


def test_a_gate_that_checked_nothing_is_closed() -> None:
    with pytest.raises(GateFailed, match="ran no check"):
        _gate().require()
