from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from contracts.settings import load_settings
from demo import evidence, show
from demo.__main__ import main

WINDOW = "sparkov@2024-05-01--2024-08-29"
FOUND: dict[str, Any] = {
    "stages": [
        {
            "stage": "process",
            "window": WINDOW,
            "currency": "USD",
            "rows_in": 46269,
            "rows_out": 46267,
            "rows_quarantined": 1,
            "rows_duplicate": 1,
            "amount_in": Decimal("3478874.73"),
            "amount_out": Decimal("3478860.00"),
            "seconds": 20.04,
        },
        {
            "stage": "train",
            "window": WINDOW,
            "currency": "USD",
            "rows_in": 0,
            "rows_out": 0,
            "rows_quarantined": 0,
            "rows_duplicate": 0,
            "amount_in": Decimal(0),
            "amount_out": Decimal(0),
            "seconds": 9.0,
        },
    ],
    "gates": [
        {"gate": "raw", "window": WINDOW, "passed": True, "checks": 17},
        {"gate": "model", "window": WINDOW, "passed": False, "checks": 9},
    ],
    "model": {
        "name": "fraud_detector_sparkov",
        "version": 2,
        "metrics": {"average_precision": 0.76754, "auc": 0.98788},
    },
    "riskiest": [
        {
            "event_id": "353a",
            "event_at": datetime(2024, 8, 31, 3, 1, tzinfo=UTC),
            "amount": Decimal("1280.34"),
            "currency": "USD",
            "merchant_category": "grocery_pos",
            "score": 0.985,
            "risk_level": "critical",
            "decision": "decline",
            "reasons": ["The amount is 1,280.34 USD.", "The payment was made at night."],
        }
    ],
    "services": [{"name": "spark", "url": "sc://localhost:1", "resident_mib": 1500.4}],
}


def printed(width: int) -> str:
    """Return all tables as a terminal of `width` columns shows them."""
    console = Console(file=io.StringIO(), width=width)
    show.everything(console, load_settings(), FOUND)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_tables_have_rows_money_metrics_and_reasons() -> None:
    text = printed(150)
    for part in ("46,269", "3,478,874.73", "passed", "closed", "0.7675", "1,280.34 USD"):
        assert part in text
    lines = text.splitlines()
    (first,) = [n for n, line in enumerate(lines) if "The amount is 1,280.34 USD." in line]
    assert "The payment was made at night." in lines[first + 1]
    assert "fraud_detector_sparkov version 2" in text
    assert "1,500 MiB" in text


def test_a_narrow_terminal_splits_no_window_and_no_address() -> None:
    lines = printed(110).splitlines()
    assert any(WINDOW in line for line in lines)
    assert any(line.endswith("/tollgate/gx/index.html") for line in lines)


def test_json_has_money_and_times_as_plain_values() -> None:
    plain = json.loads(json.dumps(FOUND, default=evidence.plain))
    assert plain["stages"][0]["amount_in"] == 3478874.73
    assert plain["riskiest"][0]["event_at"] == "2024-08-31T03:01:00+00:00"
    with pytest.raises(TypeError):
        evidence.plain(date(2024, 5, 1))


def test_a_platform_that_was_never_started_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLGATE_STATE_DIR", str(tmp_path))
    assert main([]) == 1
    said = capsys.readouterr().err
    assert "run `make up`" in said
    assert said.count("\n") == 1
