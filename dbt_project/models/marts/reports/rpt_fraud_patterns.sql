{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        meta={"slice": "reported", "slice_column": "event_date"},
    )
}}

with transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ reported('event_date') }}
),

labels as (
    select *
    from {{ ref('fct_fraud_labels') }}
    where {{ reported('event_date') }}
),

features as (
    select *
    from {{ ref('stg_lake__features') }}
    where {{ reported('event_date') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

known_payments as (
    {{ known_payments('transactions') }}
),

known_labels as (
    {{ known_labels('labels') }}
),

described as (
    select
        known_payments.event_date,
        known_payments.source_system,
        known_payments.currency,
        known_payments.channel,
        known_payments.payment_method,
        known_payments.amount,
        known_payments.payment_known_date,
        coalesce(known_payments.country, 'unknown') as country,
        coalesce(known_payments.merchant_category, 'unknown')
            as merchant_category,
        {{ utc_hour('known_payments.event_at') }} as event_hour,
        {{ amount_band('known_payments.amount') }} as amount_band,
        {{ amount_band_rank('known_payments.amount') }} as amount_band_rank,
        case
            when features.is_new_merchant then 'new'
            when not features.is_new_merchant then 'known'
            else 'unknown'
        end as merchant_familiarity,
        {{ utc_date('known_labels.known_at') }} as known_date,
        case when known_labels.is_fraud then 1 else 0 end as fraud_count,
        case
            when known_labels.is_fraud then known_payments.amount else 0
        end as fraud_amount
    from known_payments
    left join known_labels
        on
            known_payments.source_system = known_labels.source_system
            and known_payments.event_id = known_labels.event_id
    left join features
        on
            known_payments.source_system = features.source_system
            and known_payments.event_id = features.event_id
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
        sum(amount)::numeric(18, 2) as amount,
        sum(fraud_count)::bigint as known_fraud_count,
        sum(fraud_amount)::numeric(18, 2) as known_fraud_amount,
        greatest(
            event_date,
            max(payment_known_date),
            coalesce(max(known_date), event_date)
        ) as as_of_date
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
