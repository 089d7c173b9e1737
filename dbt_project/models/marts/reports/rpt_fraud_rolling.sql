{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=[
            "{{ reported('calendar_date', after=30, since=0, until=0) }}"
        ],
    )
}}

{% set so_far -%}
    over (
        partition by source_system, currency, window_days
        order by calendar_date
        rows between unbounded preceding and current row
    )
{%- endset %}

with daily as (
    select *
    from {{ ref('rpt_fraud_daily') }}
    where {{ reported('event_date', after=30, since=0, until=0, before=30) }}
),

payments as (
    select
        event_date,
        source_system,
        currency,
        customer_id
    from {{ ref('int_payments_known') }}
    where {{ reported('event_date', after=30, since=0, until=0, before=30) }}
),

windows as (
    select 7 as window_days
    union all
    select 30 as window_days
),

days as (
    {{ ages(range(31)) }}
),

-- Each date from a payment to the day on which its last window has ended.
calendar as (
    select distinct
        {{ add_days('daily.event_date', 'days.age_days') }} as calendar_date,
        daily.source_system,
        daily.currency
    from daily
    cross join days
),

ends as (
    select
        source_system,
        {{ as_of_date() if var('as_of', none) else 'max(event_date)' }}
            as last_date
    from daily
    group by source_system
),

visits as (
    select
        event_date,
        source_system,
        currency,
        customer_id,
        lead(event_date) over (
            partition by source_system, currency, customer_id
            order by event_date
        ) as next_date
    from payments
    group by event_date, source_system, currency, customer_id
),

-- A customer stays in a window until it has none of their payments.
stays as (
    select
        visits.event_date,
        visits.source_system,
        visits.currency,
        windows.window_days,
        case
            when
                visits.next_date
                < {{ add_days('visits.event_date', 'windows.window_days') }}
                then visits.next_date
            else {{ add_days('visits.event_date', 'windows.window_days') }}
        end as left_date
    from visits
    cross join windows
),

changes as (
    select
        daily.event_date as calendar_date,
        daily.source_system,
        daily.currency,
        windows.window_days,
        daily.transaction_count,
        daily.amount,
        daily.known_fraud_count,
        daily.known_fraud_amount,
        0 as customer_count
    from daily
    cross join windows
    union all
    select
        {{ add_days('daily.event_date', 'windows.window_days') }}
            as calendar_date,
        daily.source_system,
        daily.currency,
        windows.window_days,
        -daily.transaction_count as transaction_count,
        -daily.amount as amount,
        -daily.known_fraud_count as known_fraud_count,
        -daily.known_fraud_amount as known_fraud_amount,
        0 as customer_count
    from daily
    cross join windows
    union all
    select
        event_date as calendar_date,
        source_system,
        currency,
        window_days,
        0 as transaction_count,
        0 as amount,
        0 as known_fraud_count,
        0 as known_fraud_amount,
        count(*) as customer_count
    from stays
    group by event_date, source_system, currency, window_days
    union all
    select
        left_date as calendar_date,
        source_system,
        currency,
        window_days,
        0 as transaction_count,
        0 as amount,
        0 as known_fraud_count,
        0 as known_fraud_amount,
        -count(*) as customer_count
    from stays
    group by left_date, source_system, currency, window_days
),

changed as (
    select
        calendar_date,
        source_system,
        currency,
        window_days,
        sum(transaction_count) as transaction_count,
        sum(amount) as amount,
        sum(known_fraud_count) as known_fraud_count,
        sum(known_fraud_amount) as known_fraud_amount,
        sum(customer_count) as customer_count
    from changes
    group by calendar_date, source_system, currency, window_days
),

by_date as (
    select
        calendar.calendar_date,
        calendar.source_system,
        calendar.currency,
        windows.window_days,
        ends.last_date,
        coalesce(changed.transaction_count, 0) as transaction_count,
        coalesce(changed.amount, 0) as amount,
        coalesce(changed.known_fraud_count, 0) as known_fraud_count,
        coalesce(changed.known_fraud_amount, 0) as known_fraud_amount,
        coalesce(changed.customer_count, 0) as customer_count
    from calendar
    cross join windows
    inner join ends on calendar.source_system = ends.source_system
    left join changed
        on
            calendar.calendar_date = changed.calendar_date
            and calendar.source_system = changed.source_system
            and calendar.currency = changed.currency
            and windows.window_days = changed.window_days
),

rolled as (
    select
        calendar_date,
        source_system,
        currency,
        window_days,
        last_date,
        sum(transaction_count) {{ so_far }} as transaction_count,
        sum(amount) {{ so_far }} as amount,
        sum(known_fraud_count) {{ so_far }} as known_fraud_count,
        sum(known_fraud_amount) {{ so_far }} as known_fraud_amount,
        sum(customer_count) {{ so_far }} as customer_count
    from by_date
),

final as (
    select
        calendar_date,
        source_system,
        currency,
        window_days,
        transaction_count::bigint as transaction_count,
        {{ as_money("amount") }} as amount,
        known_fraud_count::bigint as known_fraud_count,
        {{ as_money("known_fraud_amount") }} as known_fraud_amount,
        customer_count::bigint as active_customer_count
    from rolled
    where
        {{ reported('calendar_date', after=30, since=0, until=0) }}
        and calendar_date <= last_date
)

select * from final
