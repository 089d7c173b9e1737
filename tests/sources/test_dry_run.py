"""The dry run in a process of its own, as an operator starts it, with no platform around."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
EXAMPLES = REPO / "docs" / "examples"


@pytest.mark.spark
def test_a_dry_run_shows_mapped_rows_and_what_would_be_rejected(tmp_path: Path) -> None:
    """Slow: starts a Spark in its own process, as the command does."""
    before = sorted(EXAMPLES.iterdir())
    run = subprocess.run(
        [
            *(sys.executable, "-m", "sources", "dry-run", str(EXAMPLES / "corner_shop.yaml")),
            *(str(EXAMPLES / "corner_shop-2024-03-01.csv"), "--rows", "2"),
        ],
        cwd=REPO,
        env={**os.environ, "TOLLGATE_STATE_DIR": str(tmp_path / "none")},  # noqa: TID251
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
    # Who paid is not said, and nothing is written.
    assert "L-77" not in said + run.stderr
    assert sorted(EXAMPLES.iterdir()) == before
    assert not (tmp_path / "none").exists()
