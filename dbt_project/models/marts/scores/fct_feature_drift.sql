{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ in_window('event_date') }}"],
    )
}}

{%- set limits = drift_limits() -%}

with drift as (
    select *
    from {{ ref('stg_model__drift') }}
    where {{ in_window('event_date') }}
),

scores as (
    select *
    from {{ ref('fct_transaction_scores') }}
    where {{ in_window('event_date') }}
),

-- A date on which all payments were withdrawn has no drift.
final as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        feature_name,
        transaction_count,
        stability_index,
        feature_mean,
        training_mean,
        null_share,
        training_null_share,
        case
            when stability_index < {{ limits[0] }} then 'stable'
            when stability_index < {{ limits[1] }} then 'moderate'
            else 'large'
        end as drift_level
    from drift
    where exists (
        select 1
        from scores
        where
            scores.event_date = drift.event_date
            and scores.source_system = drift.source_system
            and scores.model_name = drift.model_name
            and scores.model_version = drift.model_version
    )
)

select * from final
