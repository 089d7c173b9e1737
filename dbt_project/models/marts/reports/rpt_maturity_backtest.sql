{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ back_tested('event_date') }}"],
    )
}}

{%- set maturity_days = var("maturity_days") | int %}
{%- set cohort_days = var("cohort_days") | int %}
{%- set before_cohorts = -maturity_days - cohort_days %}

with daily as (
    select
        event_date,
        source_system,
        currency
    from {{ ref('rpt_fraud_daily') }}
    where {{ back_tested('event_date') }}
),

delays as (
    select *
    from {{ ref('rpt_fraud_delays') }}
    where
        {{ back_tested('event_date', before=maturity_days + cohort_days) }}
        and delay_days <= {{ maturity_days }}
),

ages as (
    {{ ages(back_test_ages()) }}
),

-- The figures of the daily report when a date was `age_days` old.
known_at_age as (
    select
        daily.event_date,
        ages.age_days,
        daily.source_system,
        daily.currency,
        coalesce(
            sum(
                case
                    when delays.delay_days <= ages.age_days
                        then delays.known_fraud_count
                    else 0
                end
            ), 0
        )::bigint as known_fraud_count,
        coalesce(sum(delays.known_fraud_count), 0)::bigint
            as final_fraud_count
    from daily
    cross join ages
    left join delays
        on
            daily.event_date = delays.event_date
            and daily.source_system = delays.source_system
            and daily.currency = delays.currency
    group by
        daily.event_date, ages.age_days, daily.source_system, daily.currency
),

moments as (
    select distinct
        event_date,
        age_days,
        source_system,
        {{ add_days('event_date', 'age_days') }} as as_of_date
    from known_at_age
),

delays_of_dates as (
    select
        event_date,
        source_system,
        delay_days,
        sum(known_fraud_count) as fraud_count
    from delays
    group by event_date, source_system, delay_days
),

-- The delays known at that time: those of cohorts that had matured by that day.
cohorts as (
    select
        moments.event_date,
        moments.age_days,
        moments.source_system,
        sum(delays_of_dates.fraud_count)::bigint as cohort_fraud_count,
        sum(
            case
                when delays_of_dates.delay_days <= moments.age_days
                    then delays_of_dates.fraud_count
                else 0
            end
        )::bigint as cohort_known_count
    from moments
    inner join delays_of_dates
        on
            moments.source_system = delays_of_dates.source_system
            and {{ add_days('moments.as_of_date', before_cohorts) }}
            < delays_of_dates.event_date
            and {{ add_days('moments.as_of_date', -maturity_days) }}
            >= delays_of_dates.event_date
    group by moments.event_date, moments.age_days, moments.source_system
),

with_shares as (
    select
        known_at_age.event_date,
        known_at_age.age_days,
        known_at_age.source_system,
        known_at_age.currency,
        known_at_age.known_fraud_count,
        known_at_age.final_fraud_count,
        cohorts.cohort_fraud_count,
        {{ share_known(
            'cohorts.cohort_known_count', 'cohorts.cohort_fraud_count'
        ) }} as label_maturity_share
    from known_at_age
    left join cohorts
        on
            known_at_age.event_date = cohorts.event_date
            and known_at_age.age_days = cohorts.age_days
            and known_at_age.source_system = cohorts.source_system
),

expected as (
    {{ expected_frauds('with_shares') }}
),

final as (
    select
        event_date,
        age_days,
        source_system,
        currency,
        {{ add_days('event_date', 'age_days') }} as as_of_date,
        cohort_fraud_count,
        label_maturity_share,
        known_fraud_count,
        expected_fraud_count,
        expected_fraud_count_low,
        expected_fraud_count_high,
        final_fraud_count,
        final_fraud_count
        between expected_fraud_count_low and expected_fraud_count_high
            as is_covered
    from expected
)

select * from final
