"""Report what would become of delivered files by the rules of the line, and write nothing."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.columns import COLUMNS, PersonalData
from contracts.printable import printable
from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.render.to_gx import shown
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
    `closed_gates` are sentences about gates that these rows would close.
    """

    findings: tuple[tuple[str, Finding], ...]
    shown: tuple[dict[str, Any], ...] = ()
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    labels: int = 0
    refusals: tuple[Refusal, ...] = ()
    closed_gates: tuple[str, ...] = ()

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
            return _report_on(spark, source, findings, objects, Path(folder), rows)
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


def _report_on(
    spark: SparkSession,
    source: Source,
    findings: tuple[tuple[str, Finding], ...],
    objects: tuple[RawObject, ...],
    folder: Path,
    rows: int,
) -> Report:
    valid = validate(read_objects(spark, source, objects, f"file://{folder}/"), source).persist()
    # Repeats are recognised by a hash under a temporary key; the mapped rows are shown without.
    key = spark.createDataFrame([(bytearray(secrets.token_hex(32).encode()),)], "content binary")
    batch = pseudonymise(valid, pads(key))
    known = batch.select(
        "source_system", "event_id", "content_hash", "raw_object", "raw_position", "ingested_at"
    ).limit(0)
    decided = deduplicate(batch, known).persist()
    groups = decided.groupBy("verdict", "raw_object", "event_date").count().collect()
    verdicts = Counter[str]()
    for group in groups:
        verdicts[group["verdict"]] += group["count"]
    refused = (
        decided.filter(F.col("verdict") == QUARANTINED)
        .select(F.explode("reasons").alias("reason"), "raw_object", "raw_position")
        .groupBy("reason")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.min(F.struct("raw_object", "raw_position")).alias("first"),
        )
        .collect()
    )
    names = {item.key: item.name for item in objects}
    order = list(RejectReason)
    labels = truth_labels(decided.filter(F.col("verdict") == ACCEPTED), source.labels)
    return Report(
        findings=findings,
        shown=tuple(_shown(valid, rows)),
        accepted=verdicts[ACCEPTED],
        duplicates=verdicts[DUPLICATE],
        quarantined=verdicts[QUARANTINED],
        labels=labels.count(),
        refusals=tuple(
            Refusal(
                RejectReason(one["reason"]),
                one["rows"],
                names[one["first"]["raw_object"]],
                one["first"]["raw_position"],
            )
            for one in sorted(refused, key=lambda one: order.index(RejectReason(one["reason"])))
        ),
        closed_gates=(
            *_off_in_raw(source, findings),
            *_off_in_processed(source, objects, groups),
            *_too_many_refused(source, verdicts),
        ),
    )


def _off_in_raw(source: Source, findings: Sequence[tuple[str, Finding]]) -> Iterator[str]:
    """Say which files have too few or too many rows for gate raw.

    A whole file is landed by the window of its dates.
    """
    for name, found in findings:
        dates = set(found.days) or set(filter(None, (_date_of(name),)))
        open_days = sum(not source.is_closed(day) for day in dates) if dates else 1
        days = (max(dates) - min(dates)).days + 1 if dates else 1
        yield from _off(source, "raw", f"{name} has", found.rows or 0, open_days, days)


def _off_in_processed(
    source: Source, objects: Sequence[RawObject], groups: Sequence[Row]
) -> Iterator[str]:
    """Say which daily files bring too few or too many rows, on their date if they name it."""
    for item in objects if source.delivers == "daily" else ():
        day = _date_of(item.name)
        rows = sum(
            group["count"]
            for group in groups
            if group["verdict"] == ACCEPTED
            and group["raw_object"] == item.key
            and day in (None, group["event_date"])
        )
        open_days = int(day is None or not source.is_closed(day))
        brings = f"{item.name} brings{f' to {day}' if day else ''}"
        yield from _off(source, "processed", brings, rows, open_days, 1)


def _off(
    source: Source, gate: str, brings: str, rows: int, open_days: int, days: int
) -> Iterator[str]:
    missing, excess = source.rows_off(rows, open_days, days)
    if missing or excess:
        fewest, most = source.rows_per_day
        limit = f"at least {fewest * open_days}" if missing else f"at most {most * days}"
        span = f" over {days} days" if days > 1 else ""
        yield f"Gate {gate} would close: {brings} {rows} rows{span}, limit {limit} (rows_per_day)."


def _too_many_refused(source: Source, verdicts: Mapping[str, int]) -> Iterator[str]:
    """Say what gate processed would do for the share of refused rows."""
    rows, ranges = sum(verdicts.values()), source.ranges
    share = verdicts[QUARANTINED] / max(rows, 1)
    for name, does in (("quarantined_share", "close"), ("usual_quarantined_share", "warn")):
        limit = getattr(ranges, name)
        if share > limit:
            yield (
                f"Gate processed would {does}: {shown('quarantined_share', share)} of {rows} rows"
                f" refused, limit {shown('quarantined_share', limit)} (ranges.{name})."
            )
            return


def _date_of(name: str) -> date | None:
    """Return the date in the name of a file, or None."""
    try:
        return date.fromisoformat(Path(name).stem)
    except ValueError:
        return None


def _shown(valid: DataFrame, rows: int) -> Iterator[dict[str, Any]]:
    """Yield the first rows, what is filled of them; of identifiers only both ends."""
    texts = {name: valid[name].cast("string") for name in ("event_at", "label_known_at")}
    first = valid.withColumns(texts).orderBy("raw_object", "raw_position").limit(rows)
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
    yield from report.closed_gates
    yield "Nothing was written."
