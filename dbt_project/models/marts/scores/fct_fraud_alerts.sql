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

stream_alerts as (
    select *
    from {{ ref('stg_stream__alerts') }}
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

alerts as (
    select
        event_id,
        source_system,
        event_date,
        'batch' as detected_by,
        model_name,
        model_version,
        score,
        risk_level,
        decision,
        {{ no_texts() }} as rule_codes,
        reason_codes,
        reason_sentences,
        scored_at as detected_at
    from scores
    where decision in ('review', 'decline')
    union all
    -- Where no champion scored, the rules take the place of the model.
    select
        event_id,
        source_system,
        event_date,
        'stream' as detected_by,
        coalesce(model_name, 'fraud_rules') as model_name,
        coalesce(model_version, rules_version) as model_version,
        score,
        risk_level,
        decision,
        rule_codes,
        reason_codes,
        reason_sentences,
        detected_at
    from stream_alerts
    where exists (
        select 1
        from transactions
        where
            transactions.source_system = stream_alerts.source_system
            and transactions.event_date = stream_alerts.event_date
            and transactions.event_id = stream_alerts.event_id
    )
),

final as (
    select
        alerts.event_id,
        alerts.source_system,
        alerts.event_date,
        transactions.event_at,
        transactions.customer_id,
        transactions.counterparty_id,
        transactions.merchant_category,
        transactions.country,
        transactions.channel,
        transactions.amount,
        transactions.currency,
        alerts.detected_by,
        alerts.model_name,
        alerts.model_version,
        alerts.score,
        alerts.risk_level,
        alerts.decision,
        alerts.rule_codes,
        alerts.reason_codes,
        alerts.reason_sentences,
        {{ first_of('alerts.reason_codes') }} as top_reason,
        nullif(array_to_string(alerts.reason_sentences, ' '), '')
            as reason_text,
        known_labels.is_fraud,
        case
            when known_labels.is_fraud then 'true_positive'
            when not known_labels.is_fraud then 'false_positive'
            else 'pending'
        end as outcome,
        known_labels.known_at as outcome_known_at,
        alerts.detected_at
    from alerts
    left join transactions
        on
            alerts.source_system = transactions.source_system
            and alerts.event_id = transactions.event_id
    left join known_labels
        on
            alerts.source_system = known_labels.source_system
            and alerts.event_date = known_labels.event_date
            and alerts.event_id = known_labels.event_id
)

select * from final
