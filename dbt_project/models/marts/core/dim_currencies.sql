{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["true"],
    )
}}

with listed as (
    select * from {{ ref('iso_currencies') }}
),

-- Read once each, else Postgres would keep a copy of all.
transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ in_window('event_date') }}
),

all_transactions as (
    select * from {{ ref('fct_transactions') }}
),

{% set shown = existing("production", "fct_transactions") if execute -%}
-- Only the currencies that these dates had may have lost all payments; others
-- are not searched for.
was_paid as (
    select distinct currency
    from {{ shown or ref('fct_transactions') }}
    where {{ in_window('event_date') }}
),

paid as (
    select distinct currency
    from transactions
    {% if is_incremental() %}
        union
        select current_rows.currency
        from {{ this }} as current_rows
        where
            not current_rows.is_listed
            and (
                current_rows.currency not in (
                    select was_paid.currency from was_paid
                )
                or exists (
                    select 1
                    from all_transactions
                    where all_transactions.currency = current_rows.currency
                )
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
