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

transactions as (
    select *
    from {{ ref('fct_transactions') }}
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
    {{ judged_scores(
        'scores', 'known_labels', 'versions', 'transactions'
    ) }}
),

figures as (
    {{ model_figures(
        'judged',
        [
            'event_date',
            'source_system',
            'model_name',
            'model_version',
            'is_unseen',
        ],
    ) }}
),

cards as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        customer_id,
        max(score) as score,
        max(is_fraud) as is_fraud
    from judged
    where customer_id is not null
    group by event_date, source_system, model_name, model_version, customer_id
),

ranked_cards as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        is_fraud,
        row_number() over (
            partition by event_date, source_system, model_name, model_version
            order by score desc, customer_id asc
        ) as place
    from cards
),

found_cards as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        sum(is_fraud) as compromised_count,
        sum(case when place <= {{ cards_a_day() }} then is_fraud else 0 end)
            as found_count
    from ranked_cards
    group by event_date, source_system, model_name, model_version
),

final as (
    select
        figures.event_date,
        figures.source_system,
        figures.model_name,
        figures.model_version,
        figures.is_unseen,
        figures.transaction_count,
        figures.labelled_count,
        figures.score_mean,
        figures.alert_count,
        figures.alert_share,
        figures.known_fraud_count,
        figures.true_positive_count,
        figures.false_positive_count,
        figures.missed_fraud_count,
        figures.alert_precision_ratio,
        figures.alert_recall_ratio,
        figures.f1_score,
        figures.auc,
        figures.average_precision,
        case
            when found_cards.compromised_count > 0
                then
                    found_cards.found_count::double precision
                    / {{ cards_a_day() }}
        end as card_precision_100,
        case
            when found_cards.compromised_count > 0
                then
                    least(found_cards.compromised_count, {{ cards_a_day() }})
                    ::double precision
                    / {{ cards_a_day() }}
        end as card_precision_ceiling,
        figures.brier_score,
        figures.as_of_date
    from figures
    left join found_cards
        on
            figures.event_date = found_cards.event_date
            and figures.source_system = found_cards.source_system
            and figures.model_name = found_cards.model_name
            and figures.model_version = found_cards.model_version
)

select * from final
