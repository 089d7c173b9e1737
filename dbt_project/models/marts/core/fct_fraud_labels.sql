{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        indexes=[{"columns": ["event_date"]}, {"columns": ["known_at"]}],
        incremental_predicates=["{{ in_window('event_date') }}"],
    )
}}

with labels as (
    select *
    from {{ ref('stg_lake__labels') }}
    where {{ in_window('event_date') }}
),

final as (
    select
        event_id,
        source_system,
        event_date,
        is_fraud,
        scenario,
        label_source,
        known_at,
        raw_object
    from labels
)

select * from final
