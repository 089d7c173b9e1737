{#
    The business date on which a row became known: the last date in the name of its delivery, which
    is part of the Raw object's key, else the date on which that landed.
#}
{% macro delivered_date(raw_object, landed_at) -%}
    coalesce(
        {{ date_of_delivery(raw_object) }},
        {{ utc_date(landed_at) }}
    )
{%- endmacro %}


{# The last date in the name of a delivery; null when it has none. #}
{% macro date_of_delivery(raw_object) -%}
    {{ date_at_end("split_part(" ~ raw_object ~ ", '/', 3)") }}
{%- endmacro %}
