{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ in_window('event_date') }}"],
    )
}}

with transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ in_window('event_date') }}
),

final as (
    select
        event_date,
        source_system,
        currency,
        delivered_date,
        count(*) as transaction_count,
        {{ as_money("sum(amount)") }} as amount
    from transactions
    group by event_date, source_system, currency, delivered_date
)

select * from final
