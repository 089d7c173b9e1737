{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ in_periods('period_start') }}"],
    )
}}

with patterns as (
    select *
    from {{ ref('rpt_fraud_patterns') }}
    where {{ in_whole_periods('event_date') }}
),

by_day as (
    select
        event_date,
        source_system,
        currency,
        country,
        channel,
        sum(transaction_count) as transaction_count,
        sum(amount) as amount,
        sum(known_fraud_count) as known_fraud_count,
        sum(known_fraud_amount) as known_fraud_amount,
        max(as_of_date) as as_of_date
    from patterns
    group by event_date, source_system, currency, country, channel
),

dated as (
    {% for period_type in ("day", "week", "month") -%}
        select
            *,
            '{{ period_type }}' as period_type,
            date_trunc('{{ period_type }}', event_date)::date as period_start
        from by_day
        {{ "union all" if not loop.last }}
    {% endfor -%}
),

by_period as (
    select
        period_type,
        period_start,
        source_system,
        currency,
        country,
        channel,
        sum(transaction_count)::bigint as transaction_count,
        {{ as_money("sum(amount)") }} as amount,
        sum(known_fraud_count)::bigint as known_fraud_count,
        {{ as_money("sum(known_fraud_amount)") }} as known_fraud_amount,
        max(as_of_date) as as_of_date
    from dated
    where {{ in_periods('period_start') }}
    group by
        period_type, period_start, source_system, currency, country, channel
),

final as (
    select
        period_type,
        period_start,
        source_system,
        currency,
        country,
        channel,
        transaction_count,
        amount,
        known_fraud_count,
        known_fraud_amount,
        known_fraud_count::double precision / transaction_count
            as known_fraud_ratio,
        known_fraud_amount::double precision
        / nullif(amount, 0)::double precision as known_fraud_value_ratio,
        as_of_date
    from by_period
)

select * from final
