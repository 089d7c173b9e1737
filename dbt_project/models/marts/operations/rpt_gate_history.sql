{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        on_schema_change="fail",
        unique_key="checked_date",
        event_time="last_checked_at",
    )
}}

with checks as (
    select *
    from {{ ref('fct_gate_results') }}
    {% if is_incremental() %}
        -- Whole dates, since the day before the newest: checks may come late.
        where
            checked_date >= (
                select
                    coalesce(
                        {{ add_days('max(existing_rows.checked_date)', -1) }},
                        date '1970-01-01'
                    )
                from {{ this }} as existing_rows
            )
    {% endif %}
),

evaluations as (
    select
        gate,
        source_system,
        checked_date,
        checked_at,
        count(*) as check_count,
        sum(
            case when severity = 'critical' and not is_passed then 1 else 0 end
        ) as failed_critical_count,
        sum(
            case when severity = 'warning' and not is_passed then 1 else 0 end
        ) as failed_warning_count,
        sum(
            case when severity = 'info' and not is_passed then 1 else 0 end
        ) as failed_info_count
    from checks
    group by gate, source_system, checked_date, checked_at, run_id, window_key
),

final as (
    select
        gate,
        source_system,
        checked_date,
        count(*) as judgement_count,
        sum(
            case when failed_critical_count > 0 then 1 else 0 end
        )::bigint as closed_count,
        sum(check_count)::bigint as check_count,
        sum(failed_critical_count)::bigint as failed_critical_count,
        sum(failed_warning_count)::bigint as failed_warning_count,
        sum(failed_info_count)::bigint as failed_info_count,
        min(checked_at) as first_checked_at,
        max(checked_at) as last_checked_at
    from evaluations
    group by gate, source_system, checked_date
)

select * from final
