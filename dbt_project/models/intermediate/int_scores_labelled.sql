with scores as (
    select *
    from {{ ref('fct_transaction_scores') }}
    where {{ in_whole_periods('event_date') }}
),

versions as (
    select *
    from {{ ref('dim_models') }}
    where {{ in_system() }}
),

labels as (
    select *
    from {{ ref('int_labels_known') }}
    where {{ in_whole_periods('event_date') }}
),

final as (
    select
        scores.event_id,
        scores.source_system,
        scores.event_date,
        scores.model_name,
        scores.model_version,
        scores.score,
        coalesce(scores.event_date > versions.trained_as_of_date, false)
            as is_unseen,
        greatest(
            scores.event_date, coalesce(labels.known_date, scores.event_date)
        ) as known_date,
        case when labels.event_id is null then 0 else 1 end as labelled_count,
        case when labels.is_fraud then 1 else 0 end as fraud_count,
        case when scores.decision in ('review', 'decline') then 1 else 0 end
            as alert_count
    from scores
    left join versions
        on
            scores.model_name = versions.model_name
            and scores.model_version = versions.model_version
    left join labels
        on
            scores.source_system = labels.source_system
            and scores.event_date = labels.event_date
            and scores.event_id = labels.event_id
)

select * from final
