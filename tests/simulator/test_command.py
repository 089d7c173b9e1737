import subprocess
import sys
from pathlib import Path

import pytest

from simulator.__main__ import main

_REPO = Path(__file__).parents[2]


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path / "out"), "--days", "10", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "seed 7, 10,000 customers, day 0 is 2026-01-01" in printed
    assert "about 220,000 payments" in printed
    assert not (tmp_path / "out").exists()


def test_days_are_written_with_a_progress_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path), "--days", "2", "--customers", "300"]) == 0
    assert "2 of 2 days" in capsys.readouterr().err
    assert len(list((tmp_path / "payments").iterdir())) == 2
    assert main(["--output", str(tmp_path), "--days", "2", "--customers", "300"]) == 1
    assert "is not empty: choose another output folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "x", "--days", "0"], "0 days from day 0 are no days"),
        (["--output", "x", "--workers", "0"], "0 workers write nothing"),
        (["--output", "x", "--rate", "5"], "give it together with --stream"),
        (["--stream", "--rate", "0"], "give more than 0"),
        (["--stream", "--format", "parquet"], "A stream is JSON lines"),
        (["--stream", "--customers", "3"], "3 customers are too few"),
    ],
)
def test_a_mistake_is_a_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_reader_that_ends_ends_the_stream() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--stream", "--customers", "300", "--days", "400"],
        cwd=_REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b'{"transaction_id"')
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    assert process.wait(60) == 0
