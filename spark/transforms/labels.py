"""Split the label off a payment, with the time at which it became known."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sources.declaration import FixedDelay, LabelDelay, Labels, StatedTime


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
    """Return one label per payment whose source states 0 or 1; any other statement is none.

    A statement whose time the source should tell and does not is none either: a model could not
    know when to believe it. None is known before its payment.
    """
    is_stated = F.col("is_fraud").cast("string").isin("0", "1")
    if isinstance(labels, StatedTime):
        is_stated = is_stated & F.col("label_known_at").isNotNull()
        known_at = F.greatest("label_known_at", "event_at")
    elif labels is None:
        is_stated, known_at = F.lit(False), F.col("event_at")
    else:
        seconds = delay_seconds(F.col("source_system"), F.col("event_id"), labels)
        known_at = F.timestamp_micros(F.unix_micros("event_at") + seconds * 1_000_000)
    return transactions.filter(is_stated).select(
        "event_id",
        "source_system",
        "event_date",
        (F.col("is_fraud").cast("string") == "1").alias("is_fraud"),
        "scenario",
        F.lit("truth").alias("label_source"),
        known_at.alias("known_at"),
        "raw_object",
    )
