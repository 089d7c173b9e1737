{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        indexes=[{"columns": ["delivered_date"]}],
        incremental_predicates=["{{ in_system() }}"],
    )
}}

with quarantine as (
    select *
    from {{ ref('stg_lake__quarantine') }}
    where {{ in_system() }}
),

final as (
    select
        raw_object,
        raw_position,
        source_system,
        event_id,
        window_key,
        {{ first_of('reasons') }} as main_reason,
        reasons,
        rules,
        amount as refused_amount,
        currency,
        first_seen_at,
        delivered_date,
        redrive_count,
        redrive_run_id,
        case
            when redrive_count = 0 then 'waiting' else 'refused_again'
        end as redrive_outcome
    from quarantine
)

select * from final
