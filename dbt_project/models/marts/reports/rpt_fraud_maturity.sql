{{
    config(
        materialized="incremental",
        incremental_strategy="replace_changed",
        on_schema_change="fail",
        incremental_predicates=["{{ in_system() }}"],
    )
}}

with delays as (
    select *
    from {{ ref('rpt_fraud_delays') }}
    where
        {{ in_last_days(
            'event_date', var('cohort_days'), until=var('maturity_days')
        ) }}
        and delay_days <= {{ var('maturity_days') }}
),

ages as (
    {{ ages(range(var('maturity_days') | int + 1)) }}
),

counted as (
    select
        delays.source_system,
        ages.age_days,
        sum(
            case
                when delays.delay_days <= ages.age_days
                    then delays.known_fraud_count
                else 0
            end
        )::bigint as known_fraud_count,
        sum(delays.known_fraud_count)::bigint as cohort_fraud_count
    from delays
    cross join ages
    group by delays.source_system, ages.age_days
),

final as (
    select
        source_system,
        age_days,
        known_fraud_count,
        cohort_fraud_count,
        case
            when age_days = {{ var('maturity_days') }} then 1
            else {{ share_known('known_fraud_count', 'cohort_fraud_count') }}
        end as label_maturity_share,
        {{ as_of_date() }} as as_of_date
    from counted
)

select * from final
