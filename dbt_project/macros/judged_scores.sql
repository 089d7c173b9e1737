{#
    Scores beside what is known about their payments, flags as 0 or 1 so that they can be summed.
    A payment without a known label counts as no fraud yet. A date that its version may have learnt
    from, or of which that is not known, is not unseen. With `transactions` also the card and the
    money; a payment that is not loaded has no card, no money and no currency.
#}
{% macro judged_scores(scores, known_labels, versions, transactions=none) -%}
    select
        {{ scores }}.event_date,
        {{ scores }}.source_system,
        {{ scores }}.model_name,
        {{ scores }}.model_version,
        coalesce(
            {{ scores }}.event_date > {{ versions }}.trained_as_of_date, false
        ) as is_unseen,
        {{ scores }}.score,
        {%- if transactions %}
        {{ transactions }}.customer_id,
        coalesce({{ transactions }}.amount, 0) as amount,
        coalesce({{ transactions }}.currency, 'XXX') as currency,
        {%- endif %}
        coalesce(
            {{ utc_date(known_labels ~ ".known_at") }}, {{ scores }}.event_date
        ) as known_date,
        case when {{ known_labels }}.event_id is null then 0 else 1 end
            as is_labelled,
        case when {{ known_labels }}.is_fraud then 1 else 0 end as is_fraud,
        case
            when {{ scores }}.decision in ('review', 'decline') then 1 else 0
        end as is_alert
    from {{ scores }}
    left join {{ versions }}
        on
            {{ scores }}.model_name = {{ versions }}.model_name
            and {{ scores }}.model_version = {{ versions }}.model_version
    {%- if transactions %}
    left join {{ transactions }}
        on
            {{ scores }}.source_system = {{ transactions }}.source_system
            and {{ scores }}.event_id = {{ transactions }}.event_id
    {%- endif %}
    left join {{ known_labels }}
        on
            {{ scores }}.source_system = {{ known_labels }}.source_system
            and {{ scores }}.event_id = {{ known_labels }}.event_id
{%- endmacro %}


{# A double as an exact number: sums of these do not depend on the order of the rows. #}
{% macro exact(value) -%}
    cast({{ value }} as numeric(38, 15))
{%- endmacro %}
