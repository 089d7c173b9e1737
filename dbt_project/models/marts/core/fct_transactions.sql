{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        indexes=[{"columns": ["event_date"]}],
        meta={"slice": "versioned", "slice_column": "event_date"},
        post_hook="{{ renew_versions() }}",
    )
}}

with transactions as (
    select *
    from {{ ref('stg_lake__transactions') }}
    where {{ touched('event_date') }}
),

customer_versions as (
    select *
    from {{ ref('dim_customers') }}
    where {{ in_system() }}
),

merchant_versions as (
    select *
    from {{ ref('dim_merchants') }}
    where {{ in_system() }}
),

final as (
    select
        transactions.event_id,
        transactions.source_system,
        transactions.source_sequence,
        transactions.schema_version,
        transactions.event_at,
        transactions.event_at_precision,
        transactions.event_date,
        transactions.ingested_at,
        transactions.customer_id,
        transactions.instrument_id,
        transactions.counterparty_id,
        transactions.counterparty_type,
        transactions.merchant_category,
        transactions.transaction_type,
        transactions.channel,
        transactions.payment_method,
        transactions.amount,
        transactions.currency,
        transactions.country,
        transactions.region,
        transactions.transaction_lat,
        transactions.transaction_lon,
        transactions.home_lat,
        transactions.home_lon,
        transactions.device_id,
        transactions.ip_hash,
        transactions.payer_balance_before,
        transactions.payer_balance_after,
        transactions.payee_balance_before,
        transactions.payee_balance_after,
        transactions.source_flags,
        transactions.content_hash,
        transactions.raw_object,
        transactions.raw_position,
        {{
            delivered_date(
                'transactions.raw_object', 'transactions.ingested_at'
            )
        }} as delivered_date,
        customers.valid_from as customer_valid_from,
        merchants.valid_from as merchant_valid_from
    from transactions
    {{
        versions_in_force(
            'transactions', 'customer_versions', 'merchant_versions'
        )
    }}
)

select * from final
