{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        on_schema_change="fail",
        indexes=[
            {"columns": ["checked_at"]},
            {"columns": ["checked_date"]},
            {"columns": ["run_id"]},
        ],
        unique_key="run_id",
        event_time="checked_at",
    )
}}

with gates as (
    select * from {{ ref('stg_platform__gates') }}
),

recent as (
    select run_id
    from gates
    {% if is_incremental() %}
        -- With a day of overlap.
        where
            checked_at >= (
                select
                    coalesce(
                        max(existing.checked_at) - interval '1 day',
                        {{ beginning_of_time() }}
                    )
                from {{ this }} as existing
            )
    {% endif %}
),

final as (
    select
        run_id,
        gate,
        window_key,
        check_name,
        table_name,
        column_name,
        severity,
        is_passed,
        observed,
        expected,
        check_reason,
        checked_at,
        {{ utc_date('checked_at') }} as checked_date,
        {{ source_of_window('window_key') }} as source_system
    from gates
    where run_id in (select recent.run_id from recent)
)

select * from final
