{{ config(materialized="table", meta={"slice": "whole"}) }}

with merchants as (
    select * from {{ ref('stg_lake__merchants') }}
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
