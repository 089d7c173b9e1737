{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["true"],
    )
}}

with runs as (
    select * from {{ ref('stg_platform__runs') }}
),

models as (
    select * from {{ ref('stg_model__versions') }}
),

balances as (
    select * from {{ ref('stg_platform__balances') }}
),

abandonments as (
    select *
    from {{ ref('stg_platform__abandoned_windows') }}
    where undone_at is null
),

latest_abandonments as (
    {{
        deduplicate(
            'abandonments',
            partition_by='window_key',
            order_by='abandoned_at desc',
        )
    }}
),

-- A closed window lands without rows, and waits for no stage.
landings_with_rows as (
    select distinct run_id
    from balances
    where stage = 'land' and rows_out > 0
),

finished as (
    select
        runs.window_key,
        runs.stage,
        runs.finished_at
    from runs
    left join landings_with_rows
        on runs.run_id = landings_with_rows.run_id
    where runs.stage <> 'land' or landings_with_rows.run_id is not null
),

-- Windows of sources: results of the platform itself have no source.
times as (
    select
        window_key,
        {{ source_of_window('window_key') }} as source_system,
        max(case when stage = 'land' then finished_at end)
            as land_finished_at,
        max(case when stage = 'process' then finished_at end)
            as process_finished_at,
        max(case when stage = 'prepare' then finished_at end)
            as prepare_finished_at,
        max(case when stage = 'load' then finished_at end)
            as load_finished_at,
        max(case when stage = 'build' then finished_at end)
            as build_finished_at,
        max(case when stage = 'score' then finished_at end)
            as score_finished_at
    from finished
    where
        window_key like '%@%'
        and stage in ('land', 'process', 'prepare', 'load', 'build', 'score')
    group by window_key
),

champions as (
    select
        source_system,
        min(promoted_at) as first_promoted_at
    from models
    group by source_system
),

-- Scores are expected of windows that were built since there is a champion.
with_champions as (
    select
        times.*,
        coalesce(champions.first_promoted_at <= times.build_finished_at, false)
            as has_champion
    from times
    left join champions on times.source_system = champions.source_system
),

waiting as (
    select
        *,
        case
            when
                coalesce(
                    process_finished_at < land_finished_at,
                    land_finished_at is not null
                )
                then 'process'
            when
                coalesce(
                    prepare_finished_at < process_finished_at,
                    process_finished_at is not null
                )
                then 'prepare'
            when
                coalesce(
                    load_finished_at < prepare_finished_at,
                    prepare_finished_at is not null
                )
                then 'load'
            when
                coalesce(
                    build_finished_at < load_finished_at,
                    load_finished_at is not null
                )
                then 'build'
            when
                coalesce(
                    score_finished_at < build_finished_at,
                    build_finished_at is not null
                ) and has_champion
                then 'score'
        end as next_stage
    from with_champions
),

waiting_since as (
    select
        *,
        case next_stage
            when 'process' then land_finished_at
            when 'prepare' then process_finished_at
            when 'load' then prepare_finished_at
            when 'build' then load_finished_at
            when 'score' then build_finished_at
        end as waiting_since_at
    from waiting
),

-- A stage that finishes later makes an abandoned window wait again.
with_abandonments as (
    select
        waiting_since.*,
        latest_abandonments.abandoned_at,
        latest_abandonments.abandoned_by,
        latest_abandonments.abandonment_reason,
        coalesce(
            latest_abandonments.abandoned_at >= waiting_since.waiting_since_at,
            false
        ) as is_abandoned
    from waiting_since
    left join latest_abandonments
        on waiting_since.window_key = latest_abandonments.window_key
),

final as (
    select
        window_key,
        source_system,
        land_finished_at,
        process_finished_at,
        prepare_finished_at,
        load_finished_at,
        build_finished_at,
        score_finished_at,
        case when not is_abandoned then next_stage end as next_stage,
        case when not is_abandoned then waiting_since_at end
            as waiting_since_at,
        case when is_abandoned then abandoned_at end as abandoned_at,
        case when is_abandoned then abandoned_by end as abandoned_by,
        case when is_abandoned then abandonment_reason end
            as abandonment_reason
    from with_abandonments
)

select * from final
