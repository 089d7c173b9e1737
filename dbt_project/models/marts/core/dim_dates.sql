{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["true"],
    )
}}

{% set months -%}
    January February March April May June
    July August September October November December
{%- endset %}
{% set weekdays -%}
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday
{%- endset %}

with transactions as (
    select event_date
    from {{ ref('fct_transactions') }}
    where {{ in_window('event_date') }}
),

known as (
    select event_date
    from transactions
    {% if is_incremental() %}
        union all
        select calendar_date as event_date
        from {{ this }}
    {% endif %}
),

bounds as (
    select
        date_trunc('year', min(event_date))::date as first_date,
        date_trunc('year', max(event_date))::date as last_year
    from known
),

days as (
    select
        bounds.last_year,
        {{ add_days('bounds.first_date', 'numbers.number') }} as calendar_date
    from bounds
    cross join
        {{
            numbers(
                'numbers',
                days_between('bounds.last_year', 'bounds.first_date') ~ ' + 365'
            )
        }}
    where
        numbers.number
        <= {{ days_between('bounds.last_year', 'bounds.first_date') }} + 365
),

calendar as (
    select
        calendar_date,
        extract(year from calendar_date)::integer as calendar_year,
        extract(quarter from calendar_date)::integer as calendar_quarter,
        extract(month from calendar_date)::integer as calendar_month,
        {{ iso_week('calendar_date') }}::integer as iso_week,
        {{ iso_weekday('calendar_date') }}::integer as day_of_week
    from days
    where extract(year from calendar_date) <= extract(year from last_year)
),

final as (
    select
        calendar_date,
        calendar_year,
        calendar_quarter,
        calendar_month,
        {{ name_of('calendar_month', months) }} as month_name,
        date_trunc('month', calendar_date)::date as month_start,
        iso_week,
        {{ add_days('calendar_date', '1 - day_of_week') }} as week_start,
        day_of_week,
        {{ name_of('day_of_week', weekdays) }} as day_name,
        day_of_week >= 6 as is_weekend
    from calendar
)

select * from final
