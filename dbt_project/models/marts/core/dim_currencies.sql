{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        meta={"slice": "whole"},
    )
}}

with listed as (
    select * from {{ ref('iso_currencies') }}
),

transactions as (
    select * from {{ ref('fct_transactions') }}
),

paid as (
    select distinct currency
    from transactions
    where {{ touched('event_date') }}
    {% if is_incremental() %}
        union
        select held.currency
        from {{ this }} as held
        where
            not held.is_listed
            and exists (
                select 1
                from transactions
                where transactions.currency = held.currency
            )
    {% endif %}
),

unlisted as (
    select paid.currency
    from paid
    left join listed on paid.currency = listed.currency
    where listed.currency is null
),

final as (
    select
        currency,
        currency_name,
        minor_unit_digits,
        numeric_code,
        true as is_listed
    from listed
    union all
    select
        currency,
        'Unknown currency' as currency_name,
        cast(null as integer) as minor_unit_digits,
        cast(null as text) as numeric_code,
        false as is_listed
    from unlisted
)

select * from final
