"""Report what would become of delivered files by the rules of the line, and write nothing."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.columns import COLUMNS, PersonalData
from contracts.printable import printable
from contracts.reasons import DESCRIPTIONS, RejectReason
from sources.declaration import Source
from sources.errors import SourceError
from sources.inspect import Finding, inspect
from sources.manifest import RawObject
from spark.jobs.raw import read_objects
from spark.transforms.deduplicate import ACCEPTED, DUPLICATE, QUARANTINED, deduplicate
from spark.transforms.labels import truth_labels
from spark.transforms.pseudonymise import pads, pseudonymise
from spark.transforms.validate import validate

_HIDDEN: Final = {PersonalData.DIRECT, PersonalData.ONLINE}
_NOT_SHOWN: Final = {
    "source_system",
    "content_hash",
    "raw_object",
    "reasons",
    "rules",
    "ingested_at",
}


@dataclass(frozen=True)
class Refusal:
    """A reason, how many rows it refuses, and where the first of them is."""

    reason: RejectReason
    rows: int
    file: str
    position: int


@dataclass(frozen=True)
class Report:
    """What files hold, and what would become of their rows.

    `findings` has an entry a file; when one has a problem, gate raw would refuse the delivery and
    nothing else is known. `shown` are the first rows as they are mapped, identifiers hidden.
    """

    findings: tuple[tuple[str, Finding], ...]
    shown: tuple[dict[str, Any], ...] = ()
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    labels: int = 0
    refusals: tuple[Refusal, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what gate raw would say, a file a sentence."""
        return tuple(f"{name}: {one.problem}" for name, one in self.findings if one.problem)


def dry_run(
    source: Source, files: Sequence[Path], session: Callable[[], SparkSession], rows: int
) -> Report:
    """Read files as deliveries of a source and report what would become of their rows.

    `session` starts a Spark that reads local files; it is not called for a file with a problem.

    Raises:
        SourceError: when a file is not there, or ends as none of the source's do.
    """
    for path in files:
        if not path.is_file():
            raise SourceError(f"There is no file {path}.")
        if path.suffix.lower() not in source.suffixes:
            ends = " or ".join(source.suffixes)
            raise SourceError(f"{path.name} is no delivery of {source.name}: those end in {ends}.")
    findings = tuple((path.name, inspect(path, source)) for path in files)
    if any(found.problem for _, found in findings):
        return Report(findings)
    spark = session()
    try:
        with TemporaryDirectory(prefix="tollgate-dry-run-") as folder:
            objects = tuple(_laid_out(files, findings, Path(folder)))
            return _judged(spark, source, findings, objects, Path(folder), rows)
    finally:
        spark.stop()


def _laid_out(
    files: Sequence[Path], findings: Sequence[tuple[str, Finding]], folder: Path
) -> Iterator[RawObject]:
    """Link each file under a plain name and describe it as a manifest would."""
    for number, (path, (name, found)) in enumerate(zip(files, findings, strict=True)):
        key = f"{number}-{found.sha256[:16]}{path.suffix.lower()}"
        (folder / key).symlink_to(path.resolve())
        yield RawObject(
            key=key,
            name=name,
            bytes=found.bytes,
            sha256=found.sha256,
            landed_at=datetime.now(UTC),
            schema_version=found.version,
            rows=found.rows,
            row_counts=found.row_counts,
            amounts=found.amounts,
            columns=found.columns,
        )


def _judged(
    spark: SparkSession,
    source: Source,
    findings: tuple[tuple[str, Finding], ...],
    objects: tuple[RawObject, ...],
    folder: Path,
    rows: int,
) -> Report:
    valid = validate(read_objects(spark, source, objects, f"file://{folder}/"), source).persist()
    # Repeats are told by a hash under a key of the moment; the mapped rows are shown without.
    key = spark.createDataFrame([(bytearray(secrets.token_hex(32).encode()),)], "content binary")
    batch = pseudonymise(valid, pads(key))
    known = batch.select(
        "source_system", "event_id", "content_hash", "raw_object", "raw_position", "ingested_at"
    ).limit(0)
    judged = deduplicate(batch, known).persist()
    verdicts = {one["verdict"]: one["count"] for one in judged.groupBy("verdict").count().collect()}
    told = (
        judged.filter(F.col("verdict") == QUARANTINED)
        .select(F.explode("reasons").alias("reason"), "raw_object", "raw_position")
        .groupBy("reason")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.min(F.struct("raw_object", "raw_position")).alias("first"),
        )
        .collect()
    )
    names = {held.key: held.name for held in objects}
    order = list(RejectReason)
    labels = truth_labels(judged.filter(F.col("verdict") == ACCEPTED), source.labels)
    return Report(
        findings=findings,
        shown=tuple(_shown(valid, rows)),
        accepted=verdicts.get(ACCEPTED, 0),
        duplicates=verdicts.get(DUPLICATE, 0),
        quarantined=verdicts.get(QUARANTINED, 0),
        labels=labels.count(),
        refusals=tuple(
            Refusal(
                RejectReason(one["reason"]),
                one["rows"],
                names[one["first"]["raw_object"]],
                one["first"]["raw_position"],
            )
            for one in sorted(told, key=lambda one: order.index(RejectReason(one["reason"])))
        ),
    )


def _shown(valid: DataFrame, rows: int) -> Iterator[dict[str, Any]]:
    """Yield the first rows, what is filled of them; of identifiers only both ends."""
    told = {name: valid[name].cast("string") for name in ("event_at", "label_known_at")}
    first = valid.withColumns(told).orderBy("raw_object", "raw_position").limit(rows)
    for row in first.collect():
        filled = {name: value for name, value in row.asDict().items() if value is not None}
        yield {
            name: _hidden(str(value)) if _is_personal(name) else value
            for name, value in filled.items()
            if name not in _NOT_SHOWN
        }


def _is_personal(name: str) -> bool:
    return name in COLUMNS and COLUMNS[name].personal in _HIDDEN


def _hidden(value: str) -> str:
    return f"{value[:2]}…{value[-2:]}" if len(value) > 6 else "…"


def lines(report: Report) -> Iterator[str]:
    """Yield the report as lines of text."""
    for name, found in report.findings:
        if found.problem:
            yield f"{name}: {found.problem}. Gate raw would refuse it; it would still land."
            continue
        money = ", ".join(f"{amount} {code}" for code, amount in sorted(found.amounts.items())[:5])
        more = f" and {len(found.amounts) - 5} more" if len(found.amounts) > 5 else ""
        yield f"{name}: version {found.version}, {found.rows} rows, {money}{more}"
    if report.problems:
        return
    for number, row in enumerate(report.shown, 1):
        yield ""
        yield f"row {number}"
        width = max(map(len, row))
        yield from (f"  {name:<{width}}  {printable(str(value))}" for name, value in row.items())
    yield ""
    yield (
        f"{report.accepted} rows would pass ({report.labels} of them with a label),"
        f" {report.duplicates} repeat others, {report.quarantined} would be quarantined:"
    )
    for one in report.refusals:
        yield (
            f"  {one.rows:>6}  {one.reason}: {DESCRIPTIONS[one.reason]}"
            f" (first: row {one.position} of {one.file})"
        )
    yield "Nothing was written."
