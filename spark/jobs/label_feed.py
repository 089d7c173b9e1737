"""Labels of a label feed and of feedback: rows of files, joined with the payments they name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.columns import LABEL_SOURCES, UNREPORTED
from contracts.lake_tables import EVENT_KEY, LABEL, LABEL_KEY
from contracts.stage_results import FeedCounts
from contracts.windows import Window
from sources.declaration import LabelFeed, Source, Version
from sources.feedback import FEEDBACK
from sources.manifest import Manifest
from spark.jobs.raw import key_below
from spark.jobs.raw_text import rows_of_files
from spark.transforms.adapt import label, value_of
from spark.transforms.text import text

_STATED: Final = tuple(name for name in LABEL_SOURCES if name != UNREPORTED)


@dataclass(frozen=True)
class LabelFiles:
    """Files of labels of a layout; a label comes at most `longest_days` after its payment's window.

    `keys` are those of its objects in Raw.
    """

    layout: Version
    longest_days: int
    keys: tuple[str, ...]

    @property
    def is_feedback(self) -> bool:
        """Return whether the files have feedback, which may name payments that never landed."""
        return self.layout is FEEDBACK


@dataclass(frozen=True)
class FeedLabels:
    """Labels of files, the dates of their payments, and what became of all rows."""

    labels: DataFrame
    dates: frozenset[date]
    counts: FeedCounts


def label_files(source: Source, manifests: Sequence[Manifest]) -> list[LabelFiles]:
    """Return the files of labels of the manifests: those of the label feed, and those of feedback.

    Feedback is in the window of its payments.
    """
    items = [one for manifest in manifests for one in manifest.labels if one.rows]
    found = []
    if isinstance(source.labels, LabelFeed):
        keys = tuple(one.key for one in items if not one.is_feedback)
        found.append(LabelFiles(source.labels.version, source.labels.longest_days, keys))
    found.append(LabelFiles(FEEDBACK, 0, tuple(one.key for one in items if one.is_feedback)))
    return [files for files in found if files.keys]


def named_dates(longest_days: int, window: Window) -> Column:
    """Return the condition that a payment is of a date that labels of the window may name.

    These are the dates of the window and `longest_days` before.
    """
    first = window.start - timedelta(days=longest_days)
    return F.col("event_date").between(first, window.end)


def feed_labels(
    spark: SparkSession,
    source: Source,
    files: LabelFiles,
    raw_bucket: str,
    payments: DataFrame,
    known: DataFrame,
) -> FeedLabels:
    """Return the new labels of files.

    A row is a label if it can be read, names a payment of `payments` and is no repeat of another
    row or of the labels `known`. `payments` and `known` are those on `named_dates`.
    """
    rows = _rows(spark, source, files, f"s3a://{raw_bucket}/")
    is_own = F.col("source_system") == source.name
    named = (
        payments.filter(is_own)
        .select(*EVENT_KEY, "event_date", "event_at")
        .join(F.broadcast(rows.filter("is_label")), list(EVENT_KEY), "inner")
        # A label is never known before its payment.
        .withColumn("known_at", F.greatest("known_at", "event_at"))
    )
    labels = (
        named.groupBy(*LABEL_KEY, "event_date")
        .agg(F.max("is_fraud").alias("is_fraud"), F.min("raw_object").alias("raw_object"))
        .join(known.filter(is_own).select(*LABEL_KEY), list(LABEL_KEY), "left_anti")
        .withColumn("scenario", F.lit(None).cast("string"))
        .select(*LABEL)
    )
    read = dict(rows.groupBy("is_label").count().collect())
    by_date = dict(labels.groupBy("event_date").count().collect())
    counts = FeedCounts(
        rows=sum(read.values()),
        labels=sum(by_date.values()),
        unreadable=read.get(False, 0),
        without_payment=read.get(True, 0) - named.count(),
    )
    return FeedLabels(labels, frozenset(by_date), counts)


def _rows(spark: SparkSession, source: Source, files: LabelFiles, root: str) -> DataFrame:
    """Return the rows of label files; `is_label` is false for one that is none.

    The time at which a label became known must be in the plausible dates of the source.
    """
    version = files.layout
    paths = [f"{root}{key}" for key in files.keys]
    rows = rows_of_files(spark, source, version, "jsonl", paths, key_below(root))
    names = [column.name for column in version.layout]
    rows = rows.withColumns({name: text(F.col(f"`{name}`")) for name in names})
    types = dict.fromkeys(names, "string")
    values = {
        name: value_of(rule, types, zone=source.zone) for name, rule in version.mapping.items()
    }
    first, last = source.plausible_dates
    mapped = rows.select(
        F.lit(source.name).alias("source_system"),
        values["event_id"].alias("event_id"),
        label(values["is_fraud"]).alias("is_fraud"),
        values["label_source"].alias("label_source"),
        values["label_known_at"].alias("known_at"),
        "raw_object",
        "is_readable",
    )
    is_label = (
        F.col("is_readable")
        & F.col("event_id").isNotNull()
        & F.col("is_fraud").isNotNull()
        & F.col("label_source").isin(*_STATED)
        & F.to_date("known_at").between(F.lit(first), F.lit(last))
    )
    return mapped.withColumn("is_label", F.coalesce(is_label, F.lit(False))).drop("is_readable")
