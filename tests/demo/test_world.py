"""The simulated world of the demo."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from contracts.settings import load_settings
from demo import world
from demo.__main__ import SAMPLES, main
from sources.discover import deliveries, label_deliveries, not_taken


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make a smaller world in an empty state folder."""
    monkeypatch.setattr(world, "WORLD", replace(world.WORLD, customers=200))
    monkeypatch.setenv("TOLLGATE_STATE_DIR", str(tmp_path))


def test_the_world_has_the_files_of_all_windows_and_is_made_once(tmp_path: Path) -> None:
    settings, console = load_settings(), Console(file=io.StringIO(), width=150)
    part = tmp_path / "simulator.part" / "payments"
    part.mkdir(parents=True)
    (part / "left-by-a-killed-run.jsonl").touch()

    assert world.generate(settings, console) == tmp_path / "simulator"
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "simulator").glob("*/*")}
    world.generate(settings, console)

    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "simulator").glob("*/*")} == made
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "51 of 51 days" in said
    assert "is used" in said
    sample = SAMPLES["simulator"]
    for window in (sample.learnt, sample.unseen, *sample.days):
        place = (window, settings.data_dir, settings.deliveries)
        assert len(deliveries(*place)) == len(label_deliveries(*place)) == len(window)
        assert not_taken(*place) == ()


def test_a_state_folder_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "simulator.part").touch()

    assert main(["--source", "simulator"]) == 1

    said = capsys.readouterr().err
    assert "simulator.part" in said
    assert "cannot be written" in said


def test_a_source_without_a_sample_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--source", "handbook"])
    assert "choose from" in capsys.readouterr().err
