{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        on_schema_change="fail",
        indexes=[{"columns": ["last_finished_at"]}],
        unique_key="run_id",
        event_time="last_finished_at",
    )
}}

with ledger as (
    select * from {{ ref('stg_platform__runs') }}
),

tasks as (
    select * from {{ ref('stg_platform__tasks') }}
),

ended as (
    select
        run_id,
        finished_at
    from ledger
    union all
    select
        run_id,
        finished_at
    from tasks
),

recent as (
    select run_id
    from ended
    {% if is_incremental() %}
        -- With a day of overlap.
        where
            finished_at >= (
                select
                    coalesce(
                        max(existing.last_finished_at) - interval '1 day',
                        {{ beginning_of_time() }}
                    )
                from {{ this }} as existing
            )
    {% endif %}
),

runs as (
    select *
    from ledger
    where run_id in (select recent.run_id from recent)
),

taken as (
    select
        run_id,
        stage,
        sum(cpu_seconds::numeric(18, 6))::double precision as cpu_seconds,
        max(peak_memory_mib) as peak_memory_mib,
        sum(bytes_read)::bigint as bytes_read,
        sum(bytes_written)::bigint as bytes_written,
        sum(spark_cpu_seconds::numeric(18, 6))::double precision
            as spark_cpu_seconds,
        max(spark_peak_memory_mib) as spark_peak_memory_mib,
        max(finished_at) as last_finished_at
    from tasks
    where run_id in (select recent.run_id from recent)
    group by run_id, stage
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
        {{ as_money("coalesce(balances.amount_in, 0)") }} as amount_in,
        {{ as_money("coalesce(balances.amount_restated, 0)") }}
            as amount_restated,
        {{ as_money("coalesce(balances.amount_out, 0)") }} as amount_out,
        {{ as_money("coalesce(balances.amount_quarantined, 0)") }}
            as amount_quarantined,
        {{ as_money("coalesce(balances.amount_duplicate, 0)") }}
            as amount_duplicate,
        taken.cpu_seconds,
        taken.peak_memory_mib,
        taken.bytes_read,
        taken.bytes_written,
        taken.spark_cpu_seconds,
        taken.spark_peak_memory_mib,
        greatest(
            runs.finished_at, coalesce(taken.last_finished_at, runs.finished_at)
        ) as last_finished_at,
        {{ utc_date('runs.finished_at') }} as finished_date
    from runs
    left join balances
        on runs.run_id = balances.run_id and runs.stage = balances.stage
    left join taken
        on runs.run_id = taken.run_id and runs.stage = taken.stage
)

select * from final
