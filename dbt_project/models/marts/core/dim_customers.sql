{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        meta={"slice": "source", "slice_column": "source_system"},
    )
}}

with customers as (
    select *
    from {{ ref('stg_lake__customers') }}
    where {{ in_system() }}
),

final as (
    select
        customer_id,
        source_system,
        country,
        region,
        home_lat,
        home_lon,
        first_event_at,
        last_event_at
    from customers
)

select * from final
