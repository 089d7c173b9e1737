"""What `sources check` approves, runs: Spark reads it, and a dry run of it reports and ends."""

import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts.settings import Settings
from sources.__main__ import main
from sources.errors import MappingError
from sources.mapping_file import read
from sources.time_patterns import pattern_problem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

EXAMPLES = Path(__file__).resolve().parents[2] / "docs/examples"
HOSTILE = Path(__file__).resolve().parents[1] / "sources/hostile"
DELIVERIES = {
    "badpattern": ["currencies.csv"],
    "case": ["case.csv"],
    "creditcard": ["creditcard.csv"],
    "european_csv": ["european.csv"],
    "joined": ["joined.csv"],
    "minor_units": ["minor_units.csv"],
    "norway": ["currencies.csv"],
    "plain_csv": ["nul.csv", "amounts.csv", "currencies.csv", "labels.csv", "times.csv"],
    "plain_json": ["surrogate.jsonl", "nul.jsonl"],
    "plain_parquet": ["ns.parquet"],
}
"""The files of each mapping; of decimal.parquet and floatlabel.parquet it has other types."""
REFUSED = {
    "badpattern": "the pattern '%Y-%m-%d %H:%M:%S' is in Python's letters",
    "case": "the columns amount and Amount differ in case only",
}


def test_every_hostile_mapping_is_here() -> None:
    assert {path.stem for path in HOSTILE.glob("*.yaml")} == set(DELIVERIES)


@pytest.mark.parametrize("name", DELIVERIES)
def test_a_mapping_that_check_approves_runs_in_a_dry_run(
    name: str, spark_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    from spark.jobs.dry_run import dry_run
    from spark.session import session

    path = HOSTILE / f"{name}.yaml"
    approved = main(["check", str(path)]) == 0
    said = capsys.readouterr()
    assert approved == (name not in REFUSED)
    if not approved:
        assert REFUSED[name] in said.err
        with pytest.raises(MappingError):
            read(path)
        return

    source = read(path)
    files = [HOSTILE / file for file in DELIVERIES[name]]
    report = dry_run(source, files, lambda: session(spark_settings), 5)
    assert report.problems == ()
    rows = sum(finding.rows or 0 for _, finding in report.findings)
    assert report.accepted + report.duplicates + report.quarantined == rows > 0


def test_the_european_export_passes_as_it_stands_and_a_part_of_it_closes_gates(
    spark_settings: Settings, tmp_path: Path
) -> None:
    from spark.jobs.dry_run import dry_run, lines
    from spark.session import session

    source = read(EXAMPLES / "european_shop.yaml")
    day = EXAMPLES / "european_shop/transactions/2024-03-31.csv"
    report = dry_run(source, [day], lambda: session(spark_settings), 1)
    assert (report.accepted, report.duplicates, report.closed_gates) == (6, 0, ())
    assert report.shown[0]["event_at"] == "2024-03-30 23:12:44"

    # The first four rows, one of them without a payer.
    part = tmp_path / day.name
    part.write_bytes(b"".join(day.read_bytes().splitlines(True)[:7]).replace(b"K-790044", b""))
    report = dry_run(source, [part], lambda: session(spark_settings), 1)
    assert report.closed_gates == (
        "Gate raw would close: 2024-03-31.csv has 4 rows, limit at least 5 (rows_per_day).",
        "Gate processed would close: 2024-03-31.csv brings to 2024-03-31 3 rows, limit at least 5"
        " (rows_per_day).",
        "Gate processed would close: 25 % of 4 rows refused, limit 5 % (ranges.quarantined_share).",
    )
    assert list(lines(report))[-4:-1] == list(report.closed_gates)


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("decimal.parquet", "amount is decimal(12,2) instead of double or long"),
        ("floatlabel.parquet", "label is double instead of long or string"),
    ],
)
def test_parquet_of_other_types_is_refused_before_spark(file: str, problem: str) -> None:
    from spark.jobs.dry_run import dry_run

    def none() -> "SparkSession":
        raise AssertionError("no Spark is needed")

    report = dry_run(read(HOSTILE / "plain_parquet.yaml"), [HOSTILE / file], none, 5)
    assert report.problems == (f"{file}: {problem}",)


def test_each_letter_that_a_pattern_may_have_is_read_by_spark(spark: "SparkSession") -> None:
    """Slow: Spark plans some 60 patterns, each for itself."""
    from pyspark.sql import functions as F

    approved = [
        f"yyyy-MM-dd HH:mm:ss {letter * count}"
        for letter in string.ascii_letters
        for count in range(1, 12)
        if pattern_problem(f"yyyy-MM-dd HH:mm:ss a {letter * count}") is None and letter not in "D"
    ]
    approved += ["yyyy-DDD", "[yyyy-MM-dd][dd.MM.yyyy]", "yyyy-MM-dd ''HH", "d年M月y", "yMMdd"]
    assert len(approved) > 40
    one = spark.sql("SELECT '2024-05-01 10:00:00' AS written")
    times = [F.try_to_timestamp("written", F.lit(pattern)) for pattern in approved]
    assert len(one.select(*times).collect()[0]) == len(approved)
