{{
    config(
        materialized="incremental",
        incremental_strategy="slice",
        on_schema_change="fail",
        meta={"slice": "reported", "slice_column": "event_date"},
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

known_labels as (
    {{ known_labels('labels') }}
),

judged as (
    select
        scores.event_date,
        scores.source_system,
        scores.model_name,
        scores.model_version,
        scores.score,
        (known_labels.known_at at time zone 'UTC')::date as known_date,
        case
            when scores.decision in ('review', 'decline') then 1 else 0
        end as alert_count,
        case when known_labels.is_fraud then 1 else 0 end as fraud_count,
        case
            when
                known_labels.is_fraud
                and scores.decision in ('review', 'decline')
                then 1
            else 0
        end as true_positive_count,
        case
            when
                not known_labels.is_fraud
                and scores.decision in ('review', 'decline')
                then 1
            else 0
        end as false_positive_count
    from scores
    left join known_labels
        on
            scores.source_system = known_labels.source_system
            and scores.event_id = known_labels.event_id
),

counted as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        count(*) as transaction_count,
        -- Exact, so that the mean does not depend on the order of the rows.
        avg(score::numeric)::double precision as score_mean,
        sum(alert_count) as alert_count,
        sum(fraud_count) as known_fraud_count,
        sum(true_positive_count) as true_positive_count,
        sum(false_positive_count) as false_positive_count,
        greatest(event_date, max(known_date)) as as_of_date
    from judged
    group by event_date, source_system, model_name, model_version
),

final as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        transaction_count,
        score_mean,
        alert_count::bigint as alert_count,
        known_fraud_count::bigint as known_fraud_count,
        true_positive_count::bigint as true_positive_count,
        false_positive_count::bigint as false_positive_count,
        (known_fraud_count - true_positive_count)::bigint
            as missed_fraud_count,
        true_positive_count::double precision
        / nullif(true_positive_count + false_positive_count, 0)
            as alert_precision_ratio,
        true_positive_count::double precision
        / nullif(known_fraud_count, 0) as alert_recall_ratio,
        as_of_date
    from counted
)

select * from final
