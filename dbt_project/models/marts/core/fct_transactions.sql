{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        indexes=[{"columns": ["event_date"]}],
        meta={"slice": "touched", "slice_column": "event_date"},
    )
}}

with transactions as (
    select *
    from {{ ref('stg_lake__transactions') }}
    where {{ touched('event_date') }}
),

final as (
    select
        event_id,
        source_system,
        source_sequence,
        schema_version,
        event_at,
        event_at_precision,
        event_date,
        ingested_at,
        customer_id,
        instrument_id,
        counterparty_id,
        counterparty_type,
        merchant_category,
        transaction_type,
        channel,
        payment_method,
        amount,
        currency,
        country,
        region,
        transaction_lat,
        transaction_lon,
        home_lat,
        home_lon,
        device_id,
        ip_hash,
        payer_balance_before,
        payer_balance_after,
        payee_balance_before,
        payee_balance_after,
        source_flags,
        content_hash,
        raw_object,
        raw_position
    from transactions
)

select * from final
