"""The day profile of Processed: aggregates by day, and the rules that compare them."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from contracts.tables import TABLES
from expectations.checkpoint import Batch
from expectations.profiles import LOOKBACK_DAYS, compared, with_measures
from expectations.suites import profiles as suite
from sources.declaration import Source

__all__ = ["LOOKBACK_DAYS", "Profile", "batches", "read"]

_TABLE: Final = TABLES["processed.transactions"]
_NULLABLE: Final = tuple(name for name in _TABLE.column_names if _TABLE.is_nullable(name))
_CODES: Final = tuple(shape.kind for shape in suite.SHAPES if not shape.is_ordered)

_BY_CURRENCY: Final = f"""
select
    t.event_date, t.source_system, t.currency,
    count(*) as rows,
    approx_count_distinct(t.customer_id) as customers,
    approx_count_distinct(t.counterparty_id) as merchants,
    sum(t.amount) as amount,
    count_if(hour(from_utc_timestamp(t.event_at, :zone)) < 12) as morning_rows,
    count_if(b.raw_object is not null and not is_past) as batch_rows,
    coalesce(sum(case when b.raw_object is not null and not is_past then t.amount end), 0)
        as batch_amount,
    count_if(to_date(from_utc_timestamp(t.event_at, :zone)) <> t.event_date) as misdated,
    count_if(
        abs(10 * t.transaction_lat - rint(10 * t.transaction_lat)) > 1e-8
        or abs(10 * t.transaction_lon - rint(10 * t.transaction_lon)) > 1e-8
        or abs(10 * t.home_lat - rint(10 * t.home_lat)) > 1e-8
        or abs(10 * t.home_lon - rint(10 * t.home_lon)) > 1e-8
    ) as precise_places,
    {", ".join(f"count_if(t.{name} is null) as {name}_nulls" for name in _NULLABLE)}
    {{codes}}
from {{payments}} as t
left join {{batch}} as b on t.raw_object = b.raw_object
group by 1, 2, 3
"""  # noqa: S608 - names of our own contracts

# Rows are first counted in cells of all codes together, which are then summed by code.
_CELLS: Final = f"""
with cells as (
    select source_system, event_date, hour(event_at) as hour,
        cast(floor(8 * log2(amount + 1)) as int) as amount, {", ".join(_CODES)},
        count(*) as rows
    from {{payments}} group by all
)
select source_system, event_date, kind, value, sum(rows) as rows
from cells lateral view stack({2 + len(_CODES)},
    {", ".join(f"'{kind}', string({kind})" for kind in ("hour", "amount", *_CODES))}
) as kind, value
where value is not null
group by all
"""  # noqa: S608 - names of our own contracts

_NEW_PARTIES: Final = """
select to_date(from_utc_timestamp(first_event_at, :zone)) as event_date, source_system,
    count_if(party = 'customer') as new_customers, count_if(party = 'merchant') as new_merchants
from (
    select first_event_at, source_system, 'customer' as party from {customers}
    union all
    select first_event_at, source_system, 'merchant' from {merchants}
)
group by all
"""


@dataclass(frozen=True)
class Profile:
    """Small frames: `daily` by day and source, `by_currency` also by currency, and `cells`.

    `customers` and `merchants` count distinct parties by day and currency.
    """

    daily: Any
    by_currency: Any
    cells: Any


def read(spark: Any, frames: Mapping[str, Any], batch: Any, source: Source) -> Profile:
    """Aggregate the days of a source from frames by short name: its run and its earlier days.

    `batch` has the `raw_object` of the delivered objects.
    """
    from pyspark.sql import functions as F

    payments = frames["transactions"].where(f"source_system = '{source.name}'")
    payments = payments.selectExpr("*", "false as is_past").unionByName(
        frames["past"].selectExpr("*", "true as is_past")
    )
    payments = payments.select(
        "*",
        *(
            (~F.col(name).isin(*codes)).alias(f"is_unknown_{name}")
            for name, codes in source.codes.items()
        ),
    )
    unknown = "".join(f", count_if(t.is_unknown_{name}) as {name}_unknown" for name in source.codes)
    query = _BY_CURRENCY.replace("{codes}", unknown)
    frame = {"payments": payments}
    zone = {"zone": source.zone}
    parties = {name: frames[name] for name in ("customers", "merchants")}
    queries = (
        spark.sql(query, zone, **frame, batch=batch),
        spark.sql(_CELLS, **frame),
        spark.sql(_NEW_PARTIES, zone, **parties),
    )
    with ThreadPoolExecutor(len(queries)) as pool:
        by_currency, cells, new = pool.map(lambda counted: counted.toPandas(), queries)
    keys = ["event_date", "source_system"]
    measures = [name for name in by_currency.columns if name not in (*keys, "currency")]
    daily = by_currency.groupby(keys, as_index=False)[measures].sum()
    news = ["new_customers", "new_merchants"]
    daily = daily.merge(new, "left", keys).fillna(dict.fromkeys(news, 0))
    daily = daily.assign(
        new_customer_share=_share(daily["new_customers"], daily["customers"]),
        new_merchant_share=_share(daily["new_merchants"], daily["merchants"]),
        mean_amount=daily["amount"].astype(float) / daily["rows"],
        **{f"{name}_null_share": daily[f"{name}_nulls"] / daily["rows"] for name in _NULLABLE},
    )
    return Profile(with_measures(daily, cells), by_currency, cells)


def _share(part: Any, whole: Any) -> Any:
    return part / whole.where(whole > 0)


def batches(table: str, profile: Profile, source: Source, dates: Iterable[date]) -> list[Batch]:
    """Return the days of a run and the earlier days, with the rules of the source."""
    bands = (
        *suite.BANDS,
        *(suite.null_band(name) for name in sorted(source.ranges.sometimes_null)),
    )
    if profile.daily.empty:
        return []
    frame = compared(profile.daily, profile.cells, bands, suite.SHAPES)
    frame = frame[frame["event_date"].isin(set(dates))]
    is_steady = source.ranges.is_steady
    rules = (*suite.band_rules(bands, is_steady), *suite.shape_rules(suite.SHAPES, is_steady))
    if frame.empty:
        return []
    return [Batch(table, frame, rules, ("event_date", "source_system"), part="profile")]
