{{ config(materialized="table", meta={"slice": "whole"}) }}

with customers as (
    select * from {{ ref('stg_lake__customers') }}
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
