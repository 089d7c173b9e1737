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
)

select * from final
