{#
    How good judged scores were, in each group of `keys`; figures that are undefined are null.
    Payments of one score stand at one place of the ranking, as scikit-learn has them.
#}
{% macro model_figures(judged, keys) -%}
    {%- set names = keys | join(", ") -%}
    {%- set down_to -%}
    over (
        partition by {{ names }} order by score desc
        rows between unbounded preceding and current row
    )
    {%- endset -%}
    with counted as (
        select
            {{ names }},
            count(*) as transaction_count,
            sum(is_labelled) as labelled_count,
            sum({{ exact("score") }}) as score_sum,
            sum({{ exact("(score - is_fraud) * (score - is_fraud)") }}) as squared_error_sum,
            sum(is_alert) as alert_count,
            sum(is_fraud) as fraud_count,
            sum(is_alert * is_fraud) as true_positive_count,
            sum(is_alert * (is_labelled - is_fraud)) as false_positive_count,
            max(greatest(event_date, coalesce(known_date, event_date)))
                as as_of_date
        from {{ judged }}
        group by {{ names }}
    ),

    by_score as (
        select {{ names }}, score, count(*) as payment_count, sum(is_fraud) as fraud_count
        from {{ judged }}
        group by {{ names }}, score
    ),

    ranked as (
        select
            {{ names }},
            payment_count,
            fraud_count,
            sum(payment_count) {{ down_to }} as payments_down_to,
            sum(fraud_count) {{ down_to }} as frauds_down_to
        from by_score
    ),

    areas as (
        select
            {{ names }},
            {#- Pairs of a fraud and another payment; those of one score are half wrong. #}
            sum(
                fraud_count * (
                    2 * (payments_down_to - frauds_down_to) - (payment_count - fraud_count)
                )
            ) as half_pairs_wrong,
            sum({{ exact(
                "fraud_count * frauds_down_to::double precision / payments_down_to"
            ) }}) as precision_sum
        from ranked
        group by {{ names }}
    )

    select
        {% for key in keys %}counted.{{ key }}, {% endfor %}
        counted.transaction_count,
        counted.labelled_count::bigint as labelled_count,
        counted.score_sum::double precision / counted.transaction_count as score_mean,
        counted.alert_count::bigint as alert_count,
        counted.alert_count::double precision / counted.transaction_count as alert_share,
        counted.fraud_count::bigint as known_fraud_count,
        counted.true_positive_count::bigint as true_positive_count,
        counted.false_positive_count::bigint as false_positive_count,
        (counted.fraud_count - counted.true_positive_count)::bigint as missed_fraud_count,
        counted.true_positive_count::double precision
        / nullif(counted.true_positive_count + counted.false_positive_count, 0)
            as alert_precision_ratio,
        counted.true_positive_count::double precision
        / nullif(counted.fraud_count, 0) as alert_recall_ratio,
        case
            when
                counted.fraud_count > 0
                and counted.true_positive_count + counted.false_positive_count > 0
                then
                    2 * counted.true_positive_count::double precision
                    / (
                        counted.fraud_count
                        + counted.true_positive_count
                        + counted.false_positive_count
                    )
        end as f1_score,
        1 - areas.half_pairs_wrong::double precision / nullif(
            2 * counted.fraud_count * (counted.transaction_count - counted.fraud_count), 0
        ) as auc,
        areas.precision_sum::double precision / nullif(counted.fraud_count, 0)
            as average_precision,
        counted.squared_error_sum::double precision / counted.transaction_count
            as brier_score,
        counted.as_of_date
    from counted
    inner join areas
        on
            {%- for key in keys %}
            {{ "and " if not loop.first }}counted.{{ key }} = areas.{{ key }}
            {%- endfor %}
{%- endmacro %}
