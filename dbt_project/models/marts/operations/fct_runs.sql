{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        indexes=[{"columns": ["finished_at"]}],
        meta={"slice": "recent", "slice_column": "finished_at"},
    )
}}

with ledger as (
    select * from {{ ref('stg_platform__runs') }}
),

recent as (
    select run_id
    from ledger
    {% if is_incremental() %}
        where
            finished_at >= (
                select
                    coalesce(
                        max(held.finished_at) - interval '1 day', '-infinity'
                    )
                from {{ this }} as held
            )
    {% endif %}
),

runs as (
    select *
    from ledger
    where run_id in (select recent.run_id from recent)
),

balances as (
    select * from {{ ref('stg_platform__balances') }}
),

final as (
    select
        runs.run_id,
        runs.stage,
        runs.window_key,
        coalesce(balances.source_system, 'none') as source_system,
        coalesce(balances.currency, 'XXX') as currency,
        runs.started_by,
        runs.started_at,
        runs.finished_at,
        runs.duration_seconds,
        coalesce(balances.rows_in, 0) as rows_in,
        coalesce(balances.rows_restated, 0) as rows_restated,
        coalesce(balances.rows_out, 0) as rows_out,
        coalesce(balances.rows_quarantined, 0) as rows_quarantined,
        coalesce(balances.rows_duplicate, 0) as rows_duplicate,
        coalesce(balances.amount_in, 0)::numeric(18, 2) as amount_in,
        coalesce(balances.amount_restated, 0)::numeric(
            18, 2
        ) as amount_restated,
        coalesce(balances.amount_out, 0)::numeric(18, 2) as amount_out,
        coalesce(balances.amount_quarantined, 0)::numeric(
            18, 2
        ) as amount_quarantined,
        coalesce(balances.amount_duplicate, 0)::numeric(
            18, 2
        ) as amount_duplicate
    from runs
    left join balances
        on runs.run_id = balances.run_id and runs.stage = balances.stage
)

select * from final
