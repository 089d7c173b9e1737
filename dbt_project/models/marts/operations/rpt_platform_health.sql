{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["true"],
    )
}}

with runs as (
    select * from {{ ref('fct_runs') }}
),

tasks as (
    select * from {{ ref('fct_run_tasks') }}
),

-- A redrive also restates the totals of its window under the stage process:
-- these rows were counted when they were processed.
redrives as (
    select distinct run_id
    from runs
    where stage = 'redrive'
),

-- The fact has a row per run and currency.
single_runs as (
    select
        run_id,
        stage,
        {{ source_of_window('window_key') }} as source_system,
        {{ end_of_window('window_key') }} as business_date,
        finished_date,
        finished_at,
        duration_seconds,
        sum(rows_out) as rows_out
    from runs
    where
        stage = 'redrive'
        or run_id not in (select redrives.run_id from redrives)
    group by
        run_id, stage, window_key, finished_date, finished_at, duration_seconds
),

runs_of_date as (
    select
        stage,
        source_system,
        finished_date,
        count(*) as run_count,
        sum(duration_seconds::numeric(18, 6)) as run_seconds,
        max(duration_seconds) as longest_run_seconds,
        sum(rows_out) as rows_out,
        max(business_date) as business_date,
        max(finished_at) as last_finished_at
    from single_runs
    group by stage, source_system, finished_date
),

tasks_of_date as (
    select
        stage,
        source_system,
        finished_date,
        count(*) as attempt_count,
        sum(
            case when task_outcome = 'failed' then 1 else 0 end
        ) as failed_attempt_count,
        sum(cpu_seconds::numeric(18, 6)) as cpu_seconds,
        max(peak_memory_mib) as peak_memory_mib,
        sum(bytes_read) as bytes_read,
        sum(bytes_written) as bytes_written,
        sum(spark_cpu_seconds::numeric(18, 6)) as spark_cpu_seconds,
        max(spark_peak_memory_mib) as spark_peak_memory_mib,
        max(finished_at) as last_finished_at
    from tasks
    group by stage, source_system, finished_date
),

both_of_date as (
    select
        coalesce(runs_of_date.stage, tasks_of_date.stage) as stage,
        coalesce(
            runs_of_date.source_system, tasks_of_date.source_system
        ) as source_system,
        coalesce(
            runs_of_date.finished_date, tasks_of_date.finished_date
        ) as finished_date,
        runs_of_date.run_count,
        runs_of_date.run_seconds,
        runs_of_date.longest_run_seconds,
        runs_of_date.rows_out,
        runs_of_date.business_date,
        tasks_of_date.attempt_count,
        tasks_of_date.failed_attempt_count,
        tasks_of_date.cpu_seconds,
        tasks_of_date.peak_memory_mib,
        tasks_of_date.bytes_read,
        tasks_of_date.bytes_written,
        tasks_of_date.spark_cpu_seconds,
        tasks_of_date.spark_peak_memory_mib,
        greatest(
            coalesce(
                runs_of_date.last_finished_at, tasks_of_date.last_finished_at
            ),
            coalesce(
                tasks_of_date.last_finished_at, runs_of_date.last_finished_at
            )
        ) as last_finished_at
    from runs_of_date
    full outer join tasks_of_date
        on
            runs_of_date.stage = tasks_of_date.stage
            and runs_of_date.source_system = tasks_of_date.source_system
            and runs_of_date.finished_date = tasks_of_date.finished_date
),

dated as (
    select
        *,
        max(business_date) over (
            partition by stage, source_system
            order by finished_date
            rows between unbounded preceding and current row
        ) as latest_business_date
    from both_of_date
),

final as (
    select
        stage,
        source_system,
        finished_date,
        coalesce(run_count, 0) as run_count,
        coalesce(run_seconds, 0)::double precision as run_seconds,
        longest_run_seconds,
        coalesce(rows_out, 0)::bigint as rows_out,
        coalesce(attempt_count, 0) as attempt_count,
        coalesce(failed_attempt_count, 0)::bigint as failed_attempt_count,
        cpu_seconds::double precision as cpu_seconds,
        peak_memory_mib,
        bytes_read::bigint as bytes_read,
        bytes_written::bigint as bytes_written,
        spark_cpu_seconds::double precision as spark_cpu_seconds,
        spark_peak_memory_mib,
        case
            when rows_out > 0
                then (run_seconds * 1000000)::double precision / rows_out
        end as run_seconds_per_million,
        case
            when rows_out > 0
                then
                    (
                        (cpu_seconds + coalesce(spark_cpu_seconds, 0)) * 1000000
                    )::double precision / rows_out
        end as cpu_seconds_per_million,
        latest_business_date,
        {{ days_between('finished_date', 'latest_business_date') }}::integer
            as freshness_days,
        last_finished_at
    from dated
)

select * from final
