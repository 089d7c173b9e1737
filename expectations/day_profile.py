"""The day profile of Processed: what Spark counts of each day, and the rules that compare it."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from contracts.tables import TABLES
from expectations.counted import as_text
from expectations.profiles import LOOKBACK_DAYS, compared, with_measures
from expectations.run import Batch
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
    sum(t.amount) as amount,
    count_if(hour(t.event_at) < 12) as morning_rows,
    count_if(b.raw_object is not null and not is_past) as batch_rows,
    coalesce(sum(case when b.raw_object is not null and not is_past then t.amount end), 0)
        as batch_amount,
    count_if(to_date(t.event_at) <> t.event_date) as misdated,
    count_if(
        abs(t.transaction_lat - round(t.transaction_lat, 1)) > 1e-9
        or abs(t.transaction_lon - round(t.transaction_lon, 1)) > 1e-9
        or abs(t.home_lat - round(t.home_lat, 1)) > 1e-9
        or abs(t.home_lon - round(t.home_lon, 1)) > 1e-9
    ) as precise_places,
    {", ".join(f"count_if(t.{name} is null) as {name}_nulls" for name in _NULLABLE)}
    {{codes}}
from {{payments}} as t
left join {{batch}} as b on t.raw_object = b.raw_object
group by 1, 2, 3
"""  # noqa: S608 - names of our own contracts

# Rows first fall into few cells of all codes together, which are then summed code by code.
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

_PARTIES: Final = """
with days as (
    select event_date, source_system, approx_count_distinct(customer_id) as customers,
        approx_count_distinct(counterparty_id) as merchants
    from {payments} group by 1, 2
),
new_customers as (
    select to_date(first_event_at) as event_date, source_system, count(*) as customers
    from {customers} group by 1, 2
),
new_merchants as (
    select to_date(first_event_at) as event_date, source_system, count(*) as merchants
    from {merchants} group by 1, 2
)
select d.*,
    coalesce(c.customers, 0) / nullif(d.customers, 0) as new_customer_share,
    coalesce(m.merchants, 0) / nullif(d.merchants, 0) as new_merchant_share
from days as d
left join new_customers as c using (event_date, source_system)
left join new_merchants as m using (event_date, source_system)
"""


@dataclass(frozen=True)
class Profile:
    """Small frames: `daily` a row a day and source, `by_currency` one a currency too, `cells`."""

    daily: Any
    by_currency: Any
    cells: Any


def read(spark: Any, frames: Mapping[str, Any], batch: Any, source: Source) -> Profile:
    """Count the days of a source in the payments of a run and of its past, by short name.

    `batch` holds the `raw_object` of what was delivered.
    """
    payments = frames["transactions"].where(f"source_system = '{source.name}'")
    payments = payments.selectExpr("*", "false as is_past").unionByName(
        frames["past"].selectExpr("*", "true as is_past")
    )
    unknown = "".join(
        f", count_if(t.{column} not in ({', '.join(map(as_text, codes))})) as {column}_unknown"
        for column, codes in source.codes.items()
    )
    query = _BY_CURRENCY.replace("{codes}", unknown)
    frame = {"payments": payments}
    held = {name: frames[name] for name in ("customers", "merchants")}
    queries = (
        spark.sql(query, **frame, batch=batch),
        spark.sql(_CELLS, **frame),
        spark.sql(_PARTIES, **frame, **held),
    )
    with ThreadPoolExecutor(len(queries)) as pool:
        by_currency, cells, parties = pool.map(lambda counted: counted.toPandas(), queries)
    keys = ["event_date", "source_system"]
    measures = [name for name in by_currency.columns if name not in (*keys, "currency")]
    daily = by_currency.groupby(keys, as_index=False)[measures].sum()
    daily = daily.merge(parties, "left", keys)
    daily = daily.assign(
        mean_amount=daily["amount"].astype(float) / daily["rows"],
        **{f"{name}_null_share": daily[f"{name}_nulls"] / daily["rows"] for name in _NULLABLE},
    )
    return Profile(with_measures(daily, cells), by_currency, cells)


def batches(table: str, profile: Profile, source: Source, dates: Iterable[date]) -> list[Batch]:
    """Return the days of a run beside those before them, with the rules of the source."""
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
