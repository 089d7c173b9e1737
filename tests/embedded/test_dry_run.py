"""The dry run in a separate process, as an operator starts it, without a running platform."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.dry_run import main

REPO = Path(__file__).resolve().parents[2]
EXAMPLES = REPO / "docs" / "examples"
SHOP = EXAMPLES / "corner_shop.yaml"


@pytest.mark.spark
def test_a_dry_run_shows_mapped_rows_and_what_would_be_rejected(tmp_path: Path) -> None:
    """Slow: starts a Spark in its own process, as the command does."""
    before = sorted(EXAMPLES.iterdir())
    run = subprocess.run(
        [
            *(sys.executable, "-m", "embedded.dry_run", str(SHOP)),
            *(str(EXAMPLES / "corner_shop-2024-03-01.csv"), "--rows", "2"),
        ],
        cwd=REPO,
        env={**os.environ, "TOLLGATE_STATE_DIR": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert run.returncode == 0, run.stderr
    said = run.stdout
    assert "corner_shop-2024-03-01.csv: version 1, 7 rows, 549.75 EUR, 0.00 XXX" in said
    assert "event_at            2024-03-01 09:12:44" in said
    assert "merchant_category   books" in said
    assert "\nrow 2\n" in said
    assert "\nrow 3\n" not in said
    assert (
        "3 rows would pass (2 of them with a label), 1 repeat others, 3 would be quarantined"
        in said
    )
    assert "unreadable_row: the row was cut or damaged" in said
    assert "(first: row 3 of corner_shop-2024-03-01.csv)" in said
    assert "Gate processed would close: 42.9 % of 7 rows refused, limit 5 %" in said
    # Who paid is not said, and nothing is written.
    assert "L-77" not in said + run.stderr
    assert sorted(EXAMPLES.iterdir()) == before
    assert not (tmp_path / "none").exists()


def test_a_delivery_that_gate_raw_would_refuse_is_reported_without_spark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "2024-03-01.csv"
    file.write_text("receipt;paid;amount\n1;2;3\n")

    assert main([str(SHOP), str(file)]) == 1
    said = capsys.readouterr().out
    assert "missing loyalty_card, shelf, total, currency, means; not declared amount" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope", "x.csv"], "No source is called 'nope'"),
        (["sffsd", "nowhere.csv"], "There is no file nowhere.csv"),
        (["sffsd", str(SHOP)], "is no delivery of sffsd: those end in .csv"),
        (["nowhere.yaml", "x.csv"], "nowhere.yaml cannot be read"),
    ],
)
def test_a_wrong_call_is_a_clear_error(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert said in capsys.readouterr().err
