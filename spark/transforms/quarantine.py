"""Columns of quarantined rows: the broken rules and the history of redrives."""

from collections.abc import Mapping
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.columns import COLUMNS
from contracts.reasons import DESCRIPTIONS, RejectReason
from lake.tables import delivered_date
from sources.declaration import Source
from sources.rules import MAPPED_COLUMNS

HISTORY: Final = ("first_seen_at", "redrive_count", "redrive_run_id", "delivered_date")
"""Columns that a refused row keeps when a redrive refuses it again."""
_CODED: Final = tuple(n for n in MAPPED_COLUMNS if n in COLUMNS and COLUMNS[n].allowed)
_PLACES: Final = ("transaction_lat", "transaction_lon", "home_lat", "home_lon")
_HELD: Final = ("raw_object", "raw_position", *HISTORY)


def with_history(refused: DataFrame, held: DataFrame) -> DataFrame:
    """Add to refused rows their history in the quarantine; a new row starts one.

    `held` are rows of the quarantine; `refused` has raw_object, raw_position and ingested_at.

    >>> refused = spark.sql("SELECT 'day' raw_object, id raw_position FROM range(2)")
    >>> refused = refused.withColumn("ingested_at", F.now())
    >>> held = refused.limit(1).selectExpr(
    ...     "*", "ingested_at first_seen_at", "1L redrive_count", "'run' redrive_run_id",
    ...     "current_date() delivered_date"
    ... )
    >>> sorted(row.redrive_count for row in with_history(refused, held).collect())
    [0, 1]
    """
    date_of_new = delivered_date(F.col("raw_object"), F.col("ingested_at"))
    return (
        refused.join(F.broadcast(held.select(*_HELD)), ["raw_object", "raw_position"], "left")
        .withColumn("first_seen_at", F.coalesce("first_seen_at", "ingested_at"))
        .withColumn("redrive_count", F.coalesce("redrive_count", F.lit(0).cast("bigint")))
        .withColumn("delivered_date", F.coalesce("delivered_date", date_of_new))
    )


def rules(source: Source) -> Column:
    """Return, for each reason of a refused row, the rule that it broke, with its limit or columns.

    The text has no value of the row, because values may be personal.

    >>> from sources.handbook import HANDBOOK
    >>> nulls = {name: F.lit(None).cast("string") for name in MAPPED_COLUMNS}
    >>> row = spark.sql("SELECT array('absurd_amount') reasons").withColumns(nulls)
    >>> row.select(rules(HANDBOOK)).first()[0]
    ['the amount is above the declared limit of the source: 10000.00']
    """
    about = _about(source)
    texts = F.create_map(
        *(
            part
            for reason, rule in DESCRIPTIONS.items()
            for part in (
                F.lit(str(reason)),
                F.concat_ws(": ", F.lit(rule), about.get(reason, F.lit(None))),
            )
        )
    )
    return F.transform("reasons", lambda reason: texts[reason])


def _about(source: Source) -> Mapping[RejectReason, Column]:
    codes: dict[str, tuple[str, ...]] = {name: COLUMNS[name].allowed or () for name in _CODED}
    codes |= source.codes
    strange = {
        name: ~F.coalesce(F.col(name).isin(*allowed), F.lit(name not in _CODED))
        for name, allowed in codes.items()
    }
    strange["country"] = F.coalesce(~F.col("country").rlike("^[A-Z]{2}$"), F.lit(False))
    away = {
        name: ~F.coalesce(
            F.col(name).between(COLUMNS[name].minimum, COLUMNS[name].maximum), F.lit(True)
        )
        for name in _PLACES
    }
    return {
        RejectReason.ABSURD_AMOUNT: F.lit(str(source.absurd_amount)),
        RejectReason.IMPOSSIBLE_PLACE: _named(away),
        RejectReason.UNKNOWN_CODE: _named(strange),
    }


def _named(conditions: Mapping[str, Column]) -> Column:
    """Return the names of the columns whose condition is true, or null."""
    names = F.concat_ws(", ", *(F.when(holds, F.lit(name)) for name, holds in conditions.items()))
    return F.when(names != "", names)
