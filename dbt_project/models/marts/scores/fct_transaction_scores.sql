{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        indexes=[{"columns": ["event_date"]}],
        incremental_predicates=["{{ in_window('event_date') }}"],
    )
}}

with scores as (
    select *
    from {{ ref('stg_model__scores') }}
    where {{ in_window('event_date') }}
),

transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ in_window('event_date') }}
),

-- The score of a payment that was withdrawn stays in STAGING.
final as (
    select
        event_id,
        source_system,
        event_date,
        model_name,
        model_version,
        feature_list_version,
        feature_snapshot_id,
        score,
        risk_level,
        decision,
        reason_codes,
        scored_at,
        run_id,
        reason_sentences
    from scores
    where exists (
        select 1
        from transactions
        where
            transactions.source_system = scores.source_system
            and transactions.event_date = scores.event_date
            and transactions.event_id = scores.event_id
    )
)

select * from final
