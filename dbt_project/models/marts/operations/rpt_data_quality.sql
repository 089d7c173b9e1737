{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["{{ in_system() }}"],
    )
}}

with quarantined as (
    select *
    from {{ ref('fct_quarantined_records') }}
    where {{ in_system() }}
),

deliveries as (
    select *
    from {{ ref('rpt_deliveries_daily') }}
    where {{ in_system() }}
),

refused as (
    select
        delivered_date,
        source_system,
        main_reason,
        coalesce(currency, 'XXX') as currency,
        count(*) as rows_quarantined,
        sum(coalesce(refused_amount, 0)) as amount_quarantined
    from quarantined
    group by
        delivered_date, source_system, main_reason, coalesce(currency, 'XXX')
),

came_in as (
    select
        delivered_date,
        source_system,
        rows_quarantined as row_count
    from refused
    union all
    select
        delivered_date,
        source_system,
        transaction_count as row_count
    from deliveries
),

by_date as (
    select
        delivered_date,
        source_system,
        sum(row_count)::bigint as rows_in
    from came_in
    group by delivered_date, source_system
),

final as (
    select
        refused.delivered_date,
        refused.source_system,
        refused.main_reason,
        refused.currency,
        refused.rows_quarantined,
        {{ as_money("refused.amount_quarantined") }} as amount_quarantined,
        by_date.rows_in,
        refused.rows_quarantined::double precision / by_date.rows_in
            as quarantined_share
    from refused
    inner join by_date
        on
            refused.delivered_date = by_date.delivered_date
            and refused.source_system = by_date.source_system
)

select * from final
