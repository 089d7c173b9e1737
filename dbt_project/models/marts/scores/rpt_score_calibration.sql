{{
    config(
        materialized="incremental",
        incremental_strategy="replace_where",
        on_schema_change="fail",
        incremental_predicates=["{{ reported('event_date') }}"],
    )
}}

{%- set edges = calibration_edges() %}

with scores as (
    select *
    from {{ ref('int_scores_labelled') }}
    where {{ reported('event_date') }}
),

binned as (
    select
        event_date,
        source_system,
        model_name,
        model_version,
        {% for column, shown in (
            ("score_from", edges[:-1]), ("score_to", edges[1:])
        ) -%}
            cast(case
                {%- for edge in edges[1:-1] %}
                    when score < {{ edge }} then {{ shown[loop.index0] }}
                {%- endfor %}
                else {{ shown[-1] }}
            end as double precision) as {{ column }},
        {% endfor -%}
        is_unseen,
        score,
        fraud_count,
        known_date
    from scores
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
        sum(fraud_count) as fraud_count,
        max(known_date) as as_of_date
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
