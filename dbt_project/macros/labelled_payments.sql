{#
    Known payments beside what is known about them, and when the last of it became known; `is_fraud`
    is null without a known label, which counts as no fraud yet.
#}
{% macro labelled_payments(known_payments, known_labels) -%}
    select
        {{ known_payments }}.*,
        {{ known_labels }}.is_fraud,
        greatest(
            {{ known_payments }}.payment_known_date,
            coalesce(
                {{ utc_date(known_labels ~ ".known_at") }},
                {{ known_payments }}.payment_known_date
            )
        ) as known_date,
        case when {{ known_labels }}.is_fraud then 1 else 0 end as fraud_count,
        case
            when {{ known_labels }}.is_fraud then {{ known_payments }}.amount else 0
        end as fraud_amount
    from {{ known_payments }}
    left join {{ known_labels }}
        on
            {{ known_payments }}.source_system = {{ known_labels }}.source_system
            and {{ known_payments }}.event_id = {{ known_labels }}.event_id
{%- endmacro %}
