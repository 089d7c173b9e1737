{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        meta={"slice": "dates", "slice_column": "calendar_date"},
    )
}}

with transactions as (
    select event_date
    from {{ ref('fct_transactions') }}
    where {{ in_dates('event_date') }}
),

bounds as (
    select
        min(event_date) as first_date,
        max(event_date) as last_date
    from transactions
),

calendar as (
    select days.day::date as calendar_date
    from bounds
    cross join
        generate_series(
            bounds.first_date, bounds.last_date, interval '1 day'
        ) as days (day)
),

final as (
    select
        calendar_date,
        extract(year from calendar_date)::integer as calendar_year,
        extract(month from calendar_date)::integer as calendar_month,
        extract(week from calendar_date)::integer as iso_week,
        extract(isodow from calendar_date)::integer as day_of_week,
        extract(isodow from calendar_date) >= 6 as is_weekend
    from calendar
    where {{ in_dates('calendar_date') }}
)

select * from final
