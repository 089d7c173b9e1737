{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ reported('event_date') }}"],
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

labelled as (
    {{ labelled_payments('known_payments', 'known_labels') }}
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
        {{ amount_band('labelled.amount') }} as amount_band,
        {{ amount_band_rank('labelled.amount') }} as amount_band_rank,
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
        sum(amount)::numeric(18, 2) as amount,
        sum(fraud_count)::bigint as known_fraud_count,
        sum(fraud_amount)::numeric(18, 2) as known_fraud_amount,
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
