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

labels as (
    select *
    from {{ ref('fct_fraud_labels') }}
    where {{ reported('event_date') }}
),

-- A later statement that agrees does not make a fraud known later.
first_fraud_labels as (
    select
        source_system,
        event_id,
        min({{ utc_date('known_at') }}) as first_fraud_date
    from labels
    where is_fraud
    group by source_system, event_id
),

frauds as (
    select
        labelled.event_date,
        labelled.source_system,
        labelled.currency,
        labelled.amount,
        greatest(
            labelled.event_date,
            labelled.payment_known_date,
            first_fraud_labels.first_fraud_date
        ) as known_date
    from labelled
    inner join first_fraud_labels
        on
            labelled.source_system = first_fraud_labels.source_system
            and labelled.event_id = first_fraud_labels.event_id
    where labelled.is_fraud
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
        {{ as_money("sum(amount)") }} as known_fraud_amount
    from delayed
    group by event_date, source_system, currency, delay_days
)

select * from final
