{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        meta={"slice": "touched", "slice_column": "event_date"},
    )
}}

with transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ touched('event_date') }}
),

final as (
    select
        event_date,
        source_system,
        currency,
        delivered_date,
        count(*) as transaction_count,
        sum(amount)::numeric(18, 2) as amount
    from transactions
    group by event_date, source_system, currency, delivered_date
)

select * from final
