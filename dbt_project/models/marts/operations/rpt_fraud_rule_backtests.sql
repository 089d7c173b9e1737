{{
    config(
        group="fraud",
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["true"],
    )
}}

with backtests as (
    select * from {{ ref('stg_platform__rule_backtests') }}
),

final as (
    select
        backtested_at,
        source_system,
        rule_code,
        currency,
        rules_version,
        first_event_date,
        last_event_date,
        transaction_count,
        labelled_count,
        known_fraud_count,
        known_fraud_amount,
        alert_count,
        alert_amount,
        true_positive_count,
        false_positive_count,
        saved_amount,
        known_fraud_count - true_positive_count as missed_fraud_count,
        {{ as_money("known_fraud_amount - saved_amount") }} as missed_amount,
        true_positive_count::double precision
        / nullif(true_positive_count + false_positive_count, 0)
            as alert_precision_ratio,
        true_positive_count::double precision / nullif(known_fraud_count, 0)
            as alert_recall_ratio,
        saved_amount::double precision
        / nullif(known_fraud_amount::double precision, 0)
            as saved_amount_share
    from backtests
)

select * from final
