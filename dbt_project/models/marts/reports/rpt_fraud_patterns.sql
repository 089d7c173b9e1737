{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ reported('event_date') }}"],
    )
}}

with labelled as (
    select * from {{ ref('int_payments_labelled') }}
),

features as (
    select *
    from {{ ref('stg_lake__features') }}
    where {{ reported('event_date') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

described as (
    select
        labelled.event_date,
        labelled.source_system,
        labelled.currency,
        labelled.channel,
        labelled.payment_method,
        labelled.amount,
        coalesce(labelled.country, 'unknown') as country,
        coalesce(labelled.merchant_category, 'unknown')
            as merchant_category,
        {{ utc_hour('labelled.event_at') }} as event_hour,
        case
            when labelled.amount < 10 then 'under 10'
            when labelled.amount < 25 then '10 to 24.99'
            when labelled.amount < 50 then '25 to 49.99'
            when labelled.amount < 100 then '50 to 99.99'
            when labelled.amount < 250 then '100 to 249.99'
            when labelled.amount < 500 then '250 to 499.99'
            when labelled.amount < 1000 then '500 to 999.99'
            when labelled.amount < 5000 then '1000 to 4999.99'
            else '5000 and over'
        end as amount_band,
        case
            when labelled.amount < 10 then 1
            when labelled.amount < 25 then 2
            when labelled.amount < 50 then 3
            when labelled.amount < 100 then 4
            when labelled.amount < 250 then 5
            when labelled.amount < 500 then 6
            when labelled.amount < 1000 then 7
            when labelled.amount < 5000 then 8
            else 9
        end as amount_band_rank,
        case
            when features.is_new_merchant then 'new'
            when not features.is_new_merchant then 'known'
            else 'unknown'
        end as merchant_familiarity,
        labelled.known_date,
        labelled.fraud_count,
        labelled.fraud_amount
    from labelled
    left join features
        on
            labelled.source_system = features.source_system
            and labelled.event_id = features.event_id
),

counted as (
    select
        event_date,
        source_system,
        currency,
        country,
        merchant_category,
        channel,
        payment_method,
        event_hour,
        amount_band,
        amount_band_rank,
        merchant_familiarity,
        count(*) as transaction_count,
        {{ as_money("sum(amount)") }} as amount,
        sum(fraud_count)::bigint as known_fraud_count,
        {{ as_money("sum(fraud_amount)") }} as known_fraud_amount,
        greatest(event_date, max(known_date)) as as_of_date
    from described
    group by
        event_date,
        source_system,
        currency,
        country,
        merchant_category,
        channel,
        payment_method,
        event_hour,
        amount_band,
        amount_band_rank,
        merchant_familiarity
),

final as (
    select
        counted.event_date,
        counted.source_system,
        counted.currency,
        counted.country,
        counted.merchant_category,
        counted.channel,
        counted.payment_method,
        dates.day_of_week,
        counted.event_hour,
        counted.amount_band,
        counted.amount_band_rank,
        counted.merchant_familiarity,
        counted.transaction_count,
        counted.amount,
        counted.known_fraud_count,
        counted.known_fraud_amount,
        counted.as_of_date
    from counted
    left join dates on counted.event_date = dates.calendar_date
)

select * from final
