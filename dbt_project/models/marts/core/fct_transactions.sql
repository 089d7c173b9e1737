{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        indexes=[{"columns": ["event_date"]}],
        incremental_predicates=["{{ in_window_or_renewed('event_date') }}"],
    )
}}

with transactions as (
    select
        *,
        {{ delivered_date('raw_object', 'ingested_at') }} as delivered_date
    from {{ ref('stg_lake__transactions') }}
    where {{ in_window('event_date') }}
    {% if is_incremental() %}
        -- Payments of other dates that get another version of their parties.
        union all
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
            raw_position,
            delivered_date
        from {{ this }}
        where {{ in_system() }} and {{ renewed('event_date') }}
    {% endif %}
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
        transactions.*,
        customers.valid_from as customer_valid_from,
        merchants.valid_from as merchant_valid_from
    from transactions
    left join customer_versions as customers
        on
            transactions.source_system = customers.source_system
            and transactions.customer_id = customers.customer_id
            and transactions.event_at >= customers.valid_from
            and transactions.event_at < customers.valid_to
    left join merchant_versions as merchants
        on
            transactions.source_system = merchants.source_system
            and transactions.counterparty_id = merchants.counterparty_id
            and transactions.event_at >= merchants.valid_from
            and transactions.event_at < merchants.valid_to
)

select * from final
