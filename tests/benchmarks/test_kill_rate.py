"""What the page of the kill rate counts, and what it says."""

from pathlib import Path

from benchmarks.hops import Stop
from benchmarks.kill_rate_page import CLEAN, Report, Trial, write_page

CLOSED = Stop("gate raw", "transactions.objects.problem.none")


def _report() -> Report:
    report = Report("sparkov", 123, seconds=61.4)
    for trial in (
        Trial("raw", CLEAN),
        Trial("raw", "wrong unit", CLOSED),
        Trial("raw", "stale day"),
        Trial("raw", "new category", reason="handbook has no category"),
    ):
        report.add(trial)
    return report


def test_faults_that_do_not_apply_and_clean_days_are_not_counted() -> None:
    report = _report()
    assert [trial.fault for trial in report.counted] == ["wrong unit", "stale day"]
    assert [trial.fault for trial in report.caught] == ["wrong unit"]
    assert report.false_alarms == []


def test_a_clean_day_that_was_stopped_is_a_false_alarm() -> None:
    report = _report()
    report.add(Trial("staging", CLEAN, CLOSED))
    assert report.false_alarms == ["staging: gate raw, transactions.objects.problem.none"]
    assert len(report.counted) == 2


def test_the_page_lists_missed_faults(tmp_path: Path) -> None:
    page = tmp_path / "kill-rate.md"
    write_page([_report()], page)
    text = page.read_text()
    assert "**1 of 2 faults caught (50.0%), 0 false alarms on 123 clean days.**" in text
    assert "| wrong unit | gate raw: `transactions.objects.problem.none` | n/a |" in text
    assert "| stale day | **missed** |" in text
    assert "Missed: stale day at raw." in text
    assert "Not counted: new category: handbook has no category." in text
