{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["{{ in_system() }}"],
    )
}}

with customers as (
    select *
    from {{ ref('stg_lake__customers') }}
    where {{ in_system() }}
),

payments as (
    select *
    from {{ ref('stg_lake__transactions') }}
    where {{ in_window('event_date') }}
),

change_points as (
    {{
        change_points(
            'payments', 'customer_id', ['region', 'home_lat', 'home_lon']
        )
    }}
),

versions as (
    {{ versions('change_points', 'customer_id') }}
),

final as (
    select
        versions.customer_id,
        versions.source_system,
        versions.valid_from,
        versions.valid_to,
        versions.valid_to = {{ last_instant() }} as is_current,
        versions.changed_at,
        versions.region,
        versions.home_lat,
        versions.home_lon,
        customers.country,
        customers.first_event_at,
        customers.last_event_at
    from versions
    -- Drops customers that left STAGING; their payments are counted by
    -- fct_transactions_refers_to_dim_customers
    inner join customers
        on
            versions.source_system = customers.source_system
            and versions.customer_id = customers.customer_id
)

select * from final
