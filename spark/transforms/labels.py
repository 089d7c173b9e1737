"""Labels of payments, with the time at which they became known."""

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
    """Return one label for each payment whose source states 0 or 1; other values are no label.

    A label without the time that its source should state is dropped, because a model could not know
    when it became known. A label is never known before its payment.

    >>> from sources.handbook import HANDBOOK
    >>> payment = spark.sql(
    ...     "SELECT 'e1' event_id, 'handbook' source_system, date '2018-04-01' event_date,"
    ...     " timestamp '2018-04-01' event_at, '1' is_fraud, '' scenario, 'day' raw_object"
    ... )
    >>> truth_labels(payment, HANDBOOK.labels).selectExpr("is_fraud", "string(known_at)").first()[:]
    (True, '2018-04-08 00:00:00')
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
