{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ reported('event_date') }}"],
    )
}}

with scores as (
    select *
    from {{ ref('fct_transaction_scores') }}
    where {{ reported('event_date') }}
),

labels as (
    select *
    from {{ ref('fct_fraud_labels') }}
    where {{ reported('event_date') }}
),

versions as (
    select *
    from {{ ref('dim_models') }}
    where {{ in_system() }}
),

known_labels as (
    {{ known_labels('labels') }}
),

judged as (
    {{ judged_scores('scores', 'known_labels', 'versions') }}
),

binned as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        {{ bin_edge('score') }} as score_from,
        {{ bin_edge('score', upper=true) }} as score_to,
        is_unseen,
        score,
        is_fraud,
        known_date
    from judged
),

counted as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        score_from,
        score_to,
        is_unseen,
        count(*) as transaction_count,
        sum({{ exact('score') }}) as score_sum,
        sum(is_fraud) as fraud_count,
        max(greatest(event_date, coalesce(known_date, event_date)))
            as as_of_date
    from binned
    group by
        event_date,
        source_system,
        model_name,
        model_version,
        is_unseen,
        score_from,
        score_to,
        is_unseen
),

final as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        score_from,
        score_to,
        is_unseen,
        transaction_count,
        score_sum::double precision / transaction_count as score_mean,
        fraud_count::bigint as known_fraud_count,
        fraud_count::double precision / transaction_count
            as known_fraud_ratio,
        as_of_date
    from counted
)

select * from final
