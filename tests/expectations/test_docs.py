"""The data docs: what a data steward reads, without a network and without scripts."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from contracts.render.to_gx import WARNING, Rule, between, equal, not_empty
from contracts.results import GateResult
from contracts.settings import Settings
from contracts.stages import Gate
from contracts.windows import Window
from expectations.checkpoint import Batch
from expectations.docs import update_data_docs, upload
from expectations.run import evaluate
from expectations.store import stored_results
from sources.store import s3_client

FRAME = pd.DataFrame({"event_id": ["a", "<b>"], "rows": [5, 6], "rows_before": [5, 6]})
SAME = equal("rows", "rows_before", "nothing is lost & nothing made")
FEW = between("rows", 0, 5, "more than five is news", WARNING, "plausible")
FETCHED = re.compile(r"""(?:src|href|action)\s*=\s*["']?([^"'\s>]+)|url\(([^)]*)\)|@import""")


def _evaluate(
    state_dir: Path,
    *rules: Rule,
    gate: Gate = Gate.STAGING,
    window: str = "sparkov@2024-05-01",
    run_id: str = "run_1",
    frame: pd.DataFrame = FRAME,
) -> GateResult:
    name = f"{gate}.transactions"
    return evaluate(
        gate, Window.parse(window), run_id, [Batch(name, frame, rules, ("event_id",))], state_dir
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with an open, a warned, a reopened and a closed gate, and its pages."""
    state_dir = tmp_path_factory.mktemp("state")
    lost = FRAME.assign(rows=[5, 0])
    _evaluate(state_dir, not_empty(), gate=Gate.RAW)
    _evaluate(state_dir, SAME, FEW, gate=Gate.PROCESSED)
    _evaluate(state_dir, SAME, gate=Gate.SANDBOX, frame=lost)
    _evaluate(state_dir, SAME, gate=Gate.SANDBOX, run_id="run_2")
    _evaluate(state_dir, SAME, not_empty(), frame=lost)
    update_data_docs(state_dir)
    return state_dir


def _pages(site: Path) -> Iterator[Path]:
    return (site / "docs" / "gx").rglob("*.html")


def test_no_page_fetches_anything_or_runs_a_script(site: Path) -> None:
    pages = list(_pages(site))
    assert len(pages) == 5 + 4 + 1
    for page in pages:
        text = page.read_text()
        assert "<script" not in text
        assert "://" not in text
        for match in FETCHED.finditer(text):
            target = match.group(1) or match.group(2) or ""
            assert target.startswith("data:,") or (page.parent / target).exists(), target
    assert not FETCHED.search((site / "docs" / "gx" / "style.css").read_text())


def test_the_index_shows_closed_gates_first_with_their_reasons(site: Path) -> None:
    index = (site / "docs" / "gx" / "index.html").read_text()
    assert "1 of 4 gates is closed, over 1 window, with 1 warning." in index
    closed, rest = index.split(">Gates<")
    assert "Gate staging on sparkov@2024-05-01" in closed
    assert "1 of 2 rows, such as event_id=&lt;b&gt; rows=0 rows_before=6" in closed
    assert "equal to rows_before" in closed
    assert "nothing is lost &amp; nothing made" in closed
    assert "Gate sandbox on" not in index, "a reopened gate is only in the history"
    assert rest.count('class="closed"') == 3, "two results in the history, one table"
    assert "more than five is news" in rest


def test_the_history_of_a_gate_has_its_closed_results(site: Path) -> None:
    history = (site / "docs" / "gx" / "sandbox.html").read_text()
    assert "2 results, 1 of them closed" in history
    assert history.index("run_2") < history.index("run_1")


def test_a_table_page_quotes_observed_expected_and_why(site: Path) -> None:
    (page,) = (site / "docs" / "gx" / "validations" / "staging").rglob("*.html")
    text = page.read_text()
    assert "1 of 2 checks passed" in text
    failed, passed = text.split(">Passed<")
    assert "such as event_id=&lt;b&gt; rows=0 rows_before=6" in failed
    assert "at least 1 row" in passed
    assert all("evaluated by pandas" in part for part in (failed, passed))
    assert "<b>" not in text


def test_only_new_results_are_rendered(tmp_path: Path) -> None:
    first = _evaluate(tmp_path, SAME)
    index = update_data_docs(tmp_path)
    page = Path(str(first.report))
    written = page.stat().st_mtime_ns
    second = _evaluate(tmp_path, SAME, run_id="run_2")
    update_data_docs(tmp_path)
    assert page.stat().st_mtime_ns == written
    assert Path(str(second.report)).exists()
    for run in ("run_1", "run_2"):
        assert run in index.read_text()


def test_the_page_says_when_no_gate_has_run(tmp_path: Path) -> None:
    assert "No gate has run yet" in update_data_docs(tmp_path).read_text()
    evaluate(Gate.RAW, Window.parse("sparkov@2024-05-01"), "run_1", [], tmp_path)
    assert "It ran no check" in update_data_docs(tmp_path).read_text()


def test_stored_results_have_the_format_of_great_expectations(site: Path) -> None:
    from great_expectations.core.expectation_validation_result import (
        expectationSuiteValidationResultSchema,
    )

    for result in stored_results(site):
        (verdict,) = result.tables
        stored = json.loads((site / "gates" / verdict.results).read_text())
        read = expectationSuiteValidationResultSchema.load(stored)
        assert read["statistics"]["evaluated_expectations"] == verdict.checks


@pytest.mark.stack
def test_pages_are_copied_to_the_bucket_once_and_the_index_each_time(
    tmp_path: Path, s3: Settings
) -> None:
    client, bucket = s3_client(s3, "platform"), s3.s3.docs_bucket
    prefix = f"{secrets.token_hex(4)}/"
    _evaluate(tmp_path, SAME)
    update_data_docs(tmp_path)
    assert upload(tmp_path, client, bucket, prefix) == 4
    second = _evaluate(tmp_path, SAME, run_id="run_2")
    update_data_docs(tmp_path)
    assert upload(tmp_path, client, bucket, prefix) == 4, "a page, its gate, the style, the index"
    pages = tmp_path / "docs" / "gx"
    files = [file for file in pages.rglob("*") if file.is_file()]
    listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert {item["Key"] for item in listed} == {
        f"{prefix}{file.relative_to(pages).as_posix()}" for file in files
    }
    page = Path(str(second.report)).relative_to(pages).as_posix()
    for name, kind in ((page, "text/html"), ("style.css", "text/css"), ("index.html", "text/html")):
        there = client.get_object(Bucket=bucket, Key=f"{prefix}{name}")
        assert there["ContentType"] == kind
        assert there["Body"].read() == (pages / name).read_bytes()
