{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["{{ in_system() }}"],
    )
}}

with merchants as (
    select *
    from {{ ref('stg_lake__merchants') }}
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
            'payments',
            'counterparty_id',
            ['counterparty_type', 'merchant_category'],
        )
    }}
),

versions as (
    {{ versions('change_points', 'counterparty_id') }}
),

final as (
    select
        versions.counterparty_id,
        versions.source_system,
        versions.valid_from,
        versions.valid_to,
        versions.valid_to = {{ last_instant() }} as is_current,
        versions.changed_at,
        versions.counterparty_type,
        versions.merchant_category,
        merchants.first_event_at,
        merchants.last_event_at
    from versions
    -- Drops counterparties that left STAGING; payments to them are counted by
    -- fct_transactions_refers_to_dim_merchants
    inner join merchants
        on
            versions.source_system = merchants.source_system
            and versions.counterparty_id = merchants.counterparty_id
)

select * from final
