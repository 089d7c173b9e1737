{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        meta={"slice": "source", "slice_column": "source_system"},
    )
}}

with merchants as (
    select *
    from {{ ref('stg_lake__merchants') }}
    where {{ in_system() }}
),

final as (
    select
        counterparty_id,
        source_system,
        counterparty_type,
        merchant_category,
        first_event_at,
        last_event_at
    from merchants
)

select * from final
