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
    from {{ ref('fct_transaction_scores') }}
    where {{ reported('event_date') }}
),

transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ reported('event_date') }}
),

labels as (
    select *
    from {{ ref('fct_fraud_labels') }}
    where {{ reported('event_date') }}
),

versions as (
    select *
    from {{ ref('dim_models') }}
    where {{ in_system() }}
),

known_labels as (
    {{ known_labels('labels') }}
),

judged as (
    {{ judged_scores(
        'scores', 'known_labels', 'versions', 'transactions'
    ) }}
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
        sum(amount * is_fraud) as known_fraud_amount,
        sum(amount * is_fraud * is_alert) as saved_amount,
        max(greatest(event_date, coalesce(known_date, event_date)))
            as as_of_date
    from judged
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
        known_fraud_amount::numeric(18, 2) as known_fraud_amount,
        saved_amount::numeric(18, 2) as saved_amount,
        (known_fraud_amount - saved_amount)::numeric(18, 2) as missed_amount,
        saved_amount::double precision
        / nullif(known_fraud_amount::double precision, 0)
            as saved_amount_share,
        as_of_date
    from counted
)

select * from final
