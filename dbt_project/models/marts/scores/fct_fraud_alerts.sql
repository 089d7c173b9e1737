{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        indexes=[{"columns": ["event_date"]}],
        incremental_predicates=["{{ reported('event_date') }}"],
    )
}}

with scores as (
    select *
    from {{ ref('fct_transaction_scores') }}
    where {{ reported('event_date') }}
),

transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ reported('event_date') }}
),

known_labels as (
    select *
    from {{ ref('int_labels_known') }}
    where {{ reported('event_date') }}
),

final as (
    select
        scores.event_id,
        scores.source_system,
        scores.event_date,
        transactions.event_at,
        transactions.customer_id,
        transactions.counterparty_id,
        transactions.merchant_category,
        transactions.country,
        transactions.channel,
        transactions.amount,
        transactions.currency,
        scores.model_name,
        scores.model_version,
        scores.score,
        scores.risk_level,
        scores.decision,
        scores.score_reasons,
        {{ first_of('scores.score_reasons') }} as top_reason,
        known_labels.is_fraud,
        case
            when known_labels.is_fraud then 'true_positive'
            when not known_labels.is_fraud then 'false_positive'
            else 'pending'
        end as outcome,
        known_labels.known_at as outcome_known_at,
        scores.scored_at
    from scores
    left join transactions
        on
            scores.source_system = transactions.source_system
            and scores.event_id = transactions.event_id
    left join known_labels
        on
            scores.source_system = known_labels.source_system
            and scores.event_date = known_labels.event_date
            and scores.event_id = known_labels.event_id
    where scores.decision in ('review', 'decline')
)

select * from final
