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

known_payments as (
    {{ known_payments('transactions') }}
),

known_labels as (
    {{ known_labels('labels') }}
),

-- A later statement that agrees does not make a fraud known later.
told as (
    select
        source_system,
        event_id,
        min({{ utc_date('known_at') }}) as told_date
    from labels
    where is_fraud
    group by source_system, event_id
),

frauds as (
    select
        known_payments.event_date,
        known_payments.source_system,
        known_payments.currency,
        known_payments.amount,
        greatest(
            known_payments.event_date,
            known_payments.payment_known_date,
            told.told_date
        ) as known_date
    from known_payments
    inner join known_labels
        on
            known_payments.source_system = known_labels.source_system
            and known_payments.event_id = known_labels.event_id
    inner join told
        on
            known_payments.source_system = told.source_system
            and known_payments.event_id = told.event_id
    where known_labels.is_fraud
),

delayed as (
    select
        event_date,
        source_system,
        currency,
        amount,
        {{ days_between('known_date', 'event_date') }}::integer as delay_days
    from frauds
),

final as (
    select
        event_date,
        source_system,
        currency,
        delay_days,
        count(*) as known_fraud_count,
        sum(amount)::numeric(18, 2) as known_fraud_amount
    from delayed
    group by event_date, source_system, currency, delay_days
)

select * from final
