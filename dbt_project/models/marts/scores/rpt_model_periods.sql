{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ in_periods('period_start') }}"],
    )
}}

{%- set grain = [
    "period_type",
    "period_start",
    "source_system",
    "model_name",
    "model_version",
    "is_unseen",
] %}

{% set descending -%}
    over (
        partition by {{ grain | join(", ") }}
        order by score desc
        rows between unbounded preceding and current row
    )
{%- endset %}

with scores as (
    select * from {{ ref('int_scores_labelled') }}
),

dated as (
    {% for period_type in ("day", "week", "month") -%}
        select
            *,
            '{{ period_type }}' as period_type,
            date_trunc('{{ period_type }}', event_date)::date as period_start
        from scores
        {{ "union all" if not loop.last }}
    {% endfor -%}
),

in_period as (
    select *
    from dated
    where {{ in_periods('period_start') }}
),

counted as (
    select
        {{ grain | join(', ') }},
        count(*) as transaction_count,
        sum(labelled_count) as labelled_count,
        sum({{ exact('score') }}) as score_sum,
        sum({{ exact('(score - fraud_count) * (score - fraud_count)') }})
            as squared_error_sum,
        sum(alert_count) as alert_count,
        sum(fraud_count) as fraud_count,
        sum(alert_count * fraud_count) as true_positive_count,
        sum(alert_count * (labelled_count - fraud_count))
            as false_positive_count,
        max(known_date) as as_of_date
    from in_period
    group by {{ grain | join(', ') }}
),

-- Payments with equal scores share one rank, as in scikit-learn.
by_score as (
    select
        {{ grain | join(', ') }},
        score,
        count(*) as payment_count,
        sum(fraud_count) as fraud_count
    from in_period
    group by {{ grain | join(', ') }}, score
),

ranked as (
    select
        {{ grain | join(', ') }},
        payment_count,
        fraud_count,
        sum(payment_count) {{ descending }} as cumulative_payment_count,
        sum(fraud_count) {{ descending }} as cumulative_fraud_count
    from by_score
),

-- Of all pairs of a fraud and another payment, those ranked wrongly; a pair
-- of one score is half wrong.
areas as (
    select
        {{ grain | join(', ') }},
        sum(
            fraud_count * (
                2 * (cumulative_payment_count - cumulative_fraud_count)
                - (payment_count - fraud_count)
            )
        ) as half_pairs_wrong,
        sum(
            {{ exact(
                'fraud_count * cumulative_fraud_count::double precision'
                ' / cumulative_payment_count'
            ) }}
        ) as precision_sum
    from ranked
    group by {{ grain | join(', ') }}
),

final as (
    select
        {{ 'counted.' ~ grain | join(', counted.') }},
        counted.transaction_count,
        counted.labelled_count::bigint as labelled_count,
        counted.score_sum::double precision / counted.transaction_count
            as score_mean,
        counted.alert_count::bigint as alert_count,
        counted.alert_count::double precision / counted.transaction_count
            as alert_share,
        counted.fraud_count::bigint as known_fraud_count,
        counted.true_positive_count::bigint as true_positive_count,
        counted.false_positive_count::bigint as false_positive_count,
        (counted.fraud_count - counted.true_positive_count)::bigint
            as missed_fraud_count,
        counted.true_positive_count::double precision
        / nullif(counted.true_positive_count + counted.false_positive_count, 0)
            as alert_precision_ratio,
        counted.true_positive_count::double precision
        / nullif(counted.fraud_count, 0) as alert_recall_ratio,
        case
            when
                counted.fraud_count > 0
                and counted.true_positive_count
                + counted.false_positive_count > 0
                then
                    2 * counted.true_positive_count::double precision
                    / (
                        counted.fraud_count
                        + counted.true_positive_count
                        + counted.false_positive_count
                    )
        end as f1_score,
        1 - areas.half_pairs_wrong::double precision / nullif(
            2 * counted.fraud_count
            * (counted.transaction_count - counted.fraud_count),
            0
        ) as auc,
        areas.precision_sum::double precision / nullif(counted.fraud_count, 0)
            as average_precision,
        counted.squared_error_sum::double precision
        / counted.transaction_count as brier_score,
        counted.as_of_date
    from counted
    left join areas
        on
            {% for column in grain -%}
                {{ "and" if not loop.first }}
                counted.{{ column }} = areas.{{ column }}
            {% endfor %}
)

select * from final
