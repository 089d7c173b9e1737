{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=[
            "{{ reported('event_date', since=var('maturity_days')) }}"
        ],
    )
}}

with labelled as (
    select *
    from {{ ref('int_payments_labelled') }}
    where {{ reported('event_date') }}
),

maturity as (
    select *
    from {{ ref('rpt_fraud_maturity') }}
    where {{ in_system() }}
),

-- First by customer: counting distinct ones directly would sort every payment.
by_customer as (
    select
        event_date,
        source_system,
        currency,
        customer_id,
        count(*) as transaction_count,
        sum(amount) as amount,
        sum(fraud_count) as fraud_count,
        sum(fraud_amount) as fraud_amount,
        max(known_date) as known_date
    from labelled
    group by event_date, source_system, currency, customer_id
),

counted as (
    select
        event_date,
        source_system,
        currency,
        sum(transaction_count)::bigint as transaction_count,
        {{ as_money("sum(amount)") }} as amount,
        count(*) as customer_count,
        sum(fraud_count)::bigint as known_fraud_count,
        {{ as_money("sum(fraud_amount)") }} as known_fraud_amount,
        greatest(event_date, coalesce(max(known_date), event_date))
            as known_date
    from by_customer
    group by event_date, source_system, currency
    {% if is_incremental() %}
        union all
        -- Dates that mature without new labels keep their counts: only their
        -- expected counts change.
        select
            event_date,
            source_system,
            currency,
            transaction_count,
            amount,
            customer_count,
            known_fraud_count,
            known_fraud_amount,
            event_date as known_date
        from {{ this }}
        where
            {{ reported('event_date', since=var('maturity_days')) }}
            and not {{ reported('event_date') }}
    {% endif %}
),

aged as (
    select
        *,
        {{ days_between(as_of_date(), 'event_date') }} as age_days
    from counted
),

matured as (
    select
        aged.*,
        maturity.cohort_fraud_count,
        case
            when aged.age_days >= {{ var('maturity_days') }} then 1
            else maturity.label_maturity_share
        end as label_maturity_share
    from aged
    left join maturity
        on
            aged.source_system = maturity.source_system
            and aged.age_days = maturity.age_days
),

expected as (
    {{ expected_frauds('matured', at_most='transaction_count') }}
),

final as (
    select
        event_date,
        source_system,
        currency,
        transaction_count,
        amount,
        customer_count,
        known_fraud_count,
        known_fraud_amount,
        known_fraud_count::double precision / transaction_count
            as known_fraud_ratio,
        label_maturity_share,
        expected_fraud_count,
        expected_fraud_count_low,
        expected_fraud_count_high,
        expected_fraud_count / transaction_count as expected_fraud_ratio,
        expected_fraud_count_low::double precision / transaction_count
            as expected_fraud_ratio_low,
        expected_fraud_count_high::double precision / transaction_count
            as expected_fraud_ratio_high,
        greatest(
            known_date,
            least(
                {{ as_of_date() }},
                {{ add_days('event_date', var('maturity_days')) }}
            )
        ) as as_of_date
    from expected
)

select * from final
