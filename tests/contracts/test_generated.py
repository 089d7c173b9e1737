"""Files that are generated from the contracts are as the contracts have them."""

from pathlib import Path

import pytest

from bi.generate import main
from contracts.assets import DAGS
from contracts.render.to_runbook import runbook

_REPO = Path(__file__).parents[2]


def test_no_generated_file_is_stale(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_the_runbook_has_a_section_for_each_dag() -> None:
    (text,) = runbook(_REPO).values()
    for dag_id in DAGS:
        assert f"\n## {dag_id}: " in text
