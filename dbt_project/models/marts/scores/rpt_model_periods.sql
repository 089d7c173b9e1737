{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ in_periods('period_start') }}"],
    )
}}

with scores as (
    select *
    from {{ ref('fct_transaction_scores') }}
    where {{ in_whole_periods('event_date') }}
),

labels as (
    select *
    from {{ ref('fct_fraud_labels') }}
    where {{ in_whole_periods('event_date') }}
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

dated as (
    {% for period_type in ("day", "week", "month") -%}
        select
            *,
            '{{ period_type }}' as period_type,
            date_trunc('{{ period_type }}', event_date)::date as period_start
        from judged
        {{ "union all" if not loop.last }}
    {% endfor -%}
),

in_period as (
    select *
    from dated
    where {{ in_periods('period_start') }}
),

figures as (
    {{ model_figures(
        'in_period',
        [
            'period_type',
            'period_start',
            'source_system',
            'model_name',
            'model_version',
            'is_unseen',
        ],
    ) }}
),

final as (
    select
        period_type,
        period_start,
        source_system,
        model_name,
        model_version,
        is_unseen,
        transaction_count,
        labelled_count,
        score_mean,
        alert_count,
        alert_share,
        known_fraud_count,
        true_positive_count,
        false_positive_count,
        missed_fraud_count,
        alert_precision_ratio,
        alert_recall_ratio,
        f1_score,
        auc,
        average_precision,
        brier_score,
        as_of_date
    from figures
)

select * from final
