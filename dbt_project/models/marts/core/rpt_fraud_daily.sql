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

known_labels as (
    {{ known_labels('labels') }}
),

labelled as (
    select
        transactions.event_date,
        transactions.source_system,
        transactions.currency,
        transactions.customer_id,
        transactions.amount,
        (known_labels.known_at at time zone 'UTC')::date as known_date,
        case when known_labels.is_fraud then 1 else 0 end as fraud_count,
        case
            when known_labels.is_fraud then transactions.amount else 0
        end as fraud_amount
    from transactions
    left join known_labels
        on
            transactions.source_system = known_labels.source_system
            and transactions.event_id = known_labels.event_id
),

-- First by customer: counting distinct ones directly would sort every payment.
by_customer as (
    select
        event_date,
        source_system,
        currency,
        customer_id,
        count(*) as transaction_count,
        sum(amount) as amount,
        sum(fraud_count) as fraud_count,
        sum(fraud_amount) as fraud_amount,
        max(known_date) as known_date
    from labelled
    group by event_date, source_system, currency, customer_id
),

final as (
    select
        event_date,
        source_system,
        currency,
        sum(transaction_count)::bigint as transaction_count,
        sum(amount)::numeric(18, 2) as amount,
        count(*) as customer_count,
        sum(fraud_count)::bigint as known_fraud_count,
        sum(fraud_amount)::numeric(18, 2) as known_fraud_amount,
        sum(fraud_count)::double precision / sum(transaction_count)
            as known_fraud_ratio,
        greatest(event_date, max(known_date)) as as_of_date
    from by_customer
    group by event_date, source_system, currency
)

select * from final
