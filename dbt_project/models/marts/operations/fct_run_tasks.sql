{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        on_schema_change="fail",
        indexes=[{"columns": ["finished_at"]}],
        unique_key="run_id",
        event_time="finished_at",
    )
}}

with tasks as (
    select * from {{ ref('stg_platform__tasks') }}
),

recent as (
    select run_id
    from tasks
    {% if is_incremental() %}
        -- With a day of overlap.
        where
            finished_at >= (
                select
                    coalesce(
                        max(existing.finished_at) - interval '1 day',
                        {{ beginning_of_time() }}
                    )
                from {{ this }} as existing
            )
    {% endif %}
),

final as (
    select
        run_id,
        stage,
        window_key,
        task_name,
        attempt_number,
        task_outcome,
        started_at,
        finished_at,
        duration_seconds,
        cpu_seconds,
        peak_memory_mib,
        bytes_read,
        bytes_written,
        spark_cpu_seconds,
        spark_peak_memory_mib,
        {{ utc_date('finished_at') }} as finished_date,
        {{ source_of_window('window_key') }} as source_system
    from tasks
    where run_id in (select recent.run_id from recent)
)

select * from final
