{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ reported('event_date') }}"],
    )
}}

with figures as (
    select *
    from {{ ref('rpt_model_periods') }}
    where period_type = 'day' and {{ reported('period_start') }}
),

scores as (
    select *
    from {{ ref('int_scores_labelled') }}
    where {{ reported('event_date') }}
),

transactions as (
    select *
    from {{ ref('fct_transactions') }}
    where {{ reported('event_date') }}
),

-- A payment that is not loaded has no card.
cards as (
    select
        scores.event_date,
        scores.source_system,
        scores.model_name,
        scores.model_version,
        transactions.customer_id,
        max(scores.score) as score,
        max(scores.fraud_count) as fraud_count
    from scores
    left join transactions
        on
            scores.source_system = transactions.source_system
            and scores.event_id = transactions.event_id
    where transactions.customer_id is not null
    group by
        scores.event_date,
        scores.source_system,
        scores.model_name,
        scores.model_version,
        transactions.customer_id
),

ranked_cards as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        fraud_count,
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
        sum(fraud_count) as compromised_count,
        sum(case when place <= {{ cards_a_day() }} then fraud_count else 0 end)
            as found_count
    from ranked_cards
    group by event_date, source_system, model_name, model_version
),

final as (
    select
        figures.period_start as event_date,
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
            figures.period_start = found_cards.event_date
            and figures.source_system = found_cards.source_system
            and figures.model_name = found_cards.model_name
            and figures.model_version = found_cards.model_version
)

select * from final
