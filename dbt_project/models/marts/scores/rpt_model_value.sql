{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ reported('event_date') }}"],
    )
}}

with scores as (
    select *
    from {{ ref('int_scores_labelled') }}
    where {{ reported('event_date') }}
),

transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ reported('event_date') }}
),

-- A payment that is not loaded has no money and no currency.
priced as (
    select
        scores.event_date,
        scores.source_system,
        scores.model_name,
        scores.model_version,
        scores.is_unseen,
        scores.known_date,
        coalesce(transactions.currency, 'XXX') as currency,
        coalesce(transactions.amount, 0) * scores.fraud_count as fraud_amount,
        coalesce(transactions.amount, 0)
        * scores.fraud_count * scores.alert_count as saved_amount
    from scores
    left join transactions
        on
            scores.source_system = transactions.source_system
            and scores.event_id = transactions.event_id
),

counted as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        currency,
        is_unseen,
        count(*) as transaction_count,
        sum(fraud_amount) as known_fraud_amount,
        sum(saved_amount) as saved_amount,
        max(known_date) as as_of_date
    from priced
    group by
        event_date,
        source_system,
        model_name,
        model_version,
        currency,
        is_unseen
),

final as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        currency,
        is_unseen,
        transaction_count,
        {{ as_money("known_fraud_amount") }} as known_fraud_amount,
        {{ as_money("saved_amount") }} as saved_amount,
        {{ as_money("known_fraud_amount - saved_amount") }} as missed_amount,
        saved_amount::double precision
        / nullif(known_fraud_amount::double precision, 0)
            as saved_amount_share,
        as_of_date
    from counted
)

select * from final
