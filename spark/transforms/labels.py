"""Labels of payments, with the time at which they became known."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.columns import LABEL_SOURCES, UNREPORTED
from contracts.lake_tables import EVENT_KEY, LABEL, LABELLED
from sources.declaration import FixedDelay, LabelDelay, LabelFeed, Labels, StatedTime


def delay_seconds(
    source_system: Column, event_id: Column, delay: LabelDelay | FixedDelay
) -> Column:
    """Return the declared delay of a payment's label (`sources.declaration.Labels`).

    >>> from sources.sparkov import SPARKOV
    >>> delay = delay_seconds(F.lit("sparkov"), F.lit("e1"), SPARKOV.labels)
    >>> 0 < spark.range(1).select(delay).first()[0] <= 60 * 86400
    True
    """
    match delay:
        case FixedDelay(seconds):
            return F.lit(seconds).cast("bigint")
        case LabelDelay():
            return _spread(source_system, event_id, delay)


def _spread(source_system: Column, event_id: Column, delay: LabelDelay) -> Column:
    digest = F.sha2(F.concat_ws("|", source_system, event_id), 256)
    share = F.conv(F.substring(digest, 1, 8), 16, 10).cast("bigint") % 1000
    place = F.conv(F.substring(digest, 9, 8), 16, 10).cast("bigint")
    soon = 1 + place % delay.within_seconds
    late = delay.within_seconds + 1 + place % (delay.tail_seconds - delay.within_seconds)
    return F.when(share < delay.within_permille, soon).otherwise(late)


def truth_labels(transactions: DataFrame, labels: Labels | None) -> DataFrame:
    """Return one label for each payment whose source states one, and each of a label feed's source.

    Of the latter each payment is genuine from the time that its source declares, unless a label
    names it before (`without_overruled`). A label without the time that its source should state is
    dropped, because a model could not know when it became known. A label is never known before its
    payment.

    >>> from sources.handbook import HANDBOOK
    >>> payment = spark.sql(
    ...     "SELECT 'e1' event_id, 'handbook' source_system, date '2018-04-01' event_date,"
    ...     " timestamp '2018-04-01' event_at, true is_fraud, '' scenario, 'day' raw_object"
    ... )
    >>> truth_labels(payment, HANDBOOK.labels).selectExpr("is_fraud", "string(known_at)").first()[:]
    (True, '2018-04-08 00:00:00')
    """
    return _stated(transactions, labels).select(*LABEL)


def without_overruled(labels: DataFrame) -> DataFrame:
    """Return the labels without those of `unreported` payments that a label names before.

    >>> rows = [("e1", "unreported", 8), ("e1", "chargeback", 3), ("e2", "unreported", 8)]
    >>> rows = [*rows, ("e3", "unreported", 8), ("e3", "chargeback", 20)]
    >>> labels = spark.createDataFrame(rows, "event_id string, label_source string, known_at long")
    >>> kept = without_overruled(labels.withColumn("source_system", F.lit("shop")))
    >>> sorted((row.event_id, row.label_source) for row in kept.collect())
    [('e1', 'chargeback'), ('e2', 'unreported'), ('e3', 'chargeback'), ('e3', 'unreported')]
    """
    is_unreported = F.col("label_source") == UNREPORTED
    reported = (
        labels.filter(~is_unreported)
        .groupBy(*EVENT_KEY)
        .agg(F.min("known_at").alias("reported_at"))
    )
    with_report = labels.join(reported, list(EVENT_KEY), "left")
    is_overruled = is_unreported & (F.col("reported_at") <= F.col("known_at"))
    return with_report.filter(~F.coalesce(is_overruled, F.lit(False))).drop("reported_at")


def known_labels(labels: DataFrame, as_of: Column) -> DataFrame:
    """Return the label of each payment that counts at an instant: of those known, the latest.

    Of labels that became known at the same instant, the first of `LABEL_SOURCES` counts.

    >>> rows = [("e1", "truth", False, 3), ("e1", "chargeback", True, 5), ("e2", "truth", True, 9)]
    >>> names = "event_id string, label_source string, is_fraud boolean, known_at long"
    >>> labels = spark.createDataFrame(rows, names).withColumn("source_system", F.lit("shop"))
    >>> [row.is_fraud for row in known_labels(labels, F.lit(8)).collect()]
    [True]
    """
    rank = F.array_position(F.array(*map(F.lit, LABEL_SOURCES)), F.col("label_source"))
    latest = F.max_by("is_fraud", F.struct("known_at", -rank))
    known = labels.filter(F.col("known_at") <= as_of)
    return known.groupBy(*EVENT_KEY).agg(latest.alias("is_fraud"))


def corrections(repeats: DataFrame, known: DataFrame, labels: Labels | None) -> DataFrame:
    """Return the labels that repeats of payments state otherwise than the labels known so far.

    `repeats` are rows that arrived after their payment, `known` are labels. Of the repeats of a
    payment the last one counts. A correction becomes known when its source states, if that is after
    the label that it replaces, and otherwise when its delivery lands.

    >>> from sources.handbook import HANDBOOK
    >>> repeat = spark.sql(
    ...     "SELECT 'e1' event_id, 'handbook' source_system, date '2018-04-01' event_date,"
    ...     " timestamp '2018-04-01' event_at, false is_fraud, '' scenario, 'again' raw_object,"
    ...     " 0L raw_position, timestamp '2018-05-02' ingested_at"
    ... )
    >>> known = truth_labels(repeat.withColumn("is_fraud", F.lit(True)), HANDBOOK.labels)
    >>> corrected = corrections(repeat, known, HANDBOOK.labels)
    >>> corrected.selectExpr("is_fraud", "string(known_at)").first()[:]
    (False, '2018-05-02 00:00:00')
    """
    arrival = F.struct("ingested_at", "raw_object", "raw_position")
    now = F.struct(*(name for name in LABEL if name not in LABELLED), "ingested_at")
    last = _stated(repeats, labels).groupBy(*LABELLED).agg(F.max_by(now, arrival).alias("now"))
    before = known.groupBy(*LABELLED).agg(
        F.max_by(F.struct("is_fraud", "scenario", "known_at"), "known_at").alias("before")
    )
    is_changed = ~F.col("now.is_fraud").eqNullSafe(F.col("before.is_fraud")) | ~F.col(
        "now.scenario"
    ).eqNullSafe(F.col("before.scenario"))
    stated, replaced = F.col("now.known_at"), F.col("before.known_at")
    # Two labels of a payment that were known at the same instant could not be told apart.
    after = F.timestamp_micros(F.unix_micros(replaced) + 1)
    known_at = F.greatest(stated, F.col("now.ingested_at"), after)
    if isinstance(labels, StatedTime):
        known_at = F.when(F.coalesce(stated > replaced, F.lit(True)), stated).otherwise(known_at)
    changed = last.join(before, list(LABELLED), "left").filter(is_changed)
    return changed.select(*LABELLED, "now.*", known_at.alias("corrected_at")).select(
        *(F.col("corrected_at").alias(n) if n == "known_at" else F.col(n) for n in LABEL)
    )


def _stated(transactions: DataFrame, labels: Labels | None) -> DataFrame:
    """Return the payments with a label, with its source and when it became known."""
    if isinstance(labels, LabelFeed):
        micros = F.unix_micros("event_at") + labels.genuine_after_seconds * 1_000_000
        return transactions.withColumns(
            {
                "is_fraud": F.lit(False),
                "label_source": F.lit(UNREPORTED),
                "known_at": F.timestamp_micros(micros),
            }
        )
    is_stated = F.col("is_fraud").isNotNull()
    if isinstance(labels, StatedTime):
        is_stated = is_stated & F.col("label_known_at").isNotNull()
        known_at = F.greatest("label_known_at", "event_at")
    elif labels is None:
        is_stated, known_at = F.lit(False), F.col("event_at")
    else:
        seconds = delay_seconds(F.col("source_system"), F.col("event_id"), labels)
        known_at = F.timestamp_micros(F.unix_micros("event_at") + seconds * 1_000_000)
    return transactions.filter(is_stated).withColumns(
        {"label_source": F.lit("truth"), "known_at": known_at}
    )
