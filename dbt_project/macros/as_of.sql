{#
    What is known as of a date. A label counts when it was known before the end of that day, a
    payment when it was delivered by then. Without the variable `as_of`, everything is known.
#}

{# The last business date whose knowledge is used, as a date. #}
{% macro as_of_date() -%}
    date '{{ as_of() or "9999-12-31" }}'
{%- endmacro %}


{#
    The business date on which a payment became known. A delivery without a date in its name is a
    history: its payments count as known when they happened, for when it landed is no business date.
#}
{% macro payment_known_date() -%}
    coalesce({{ date_of_delivery("raw_object") }}, event_date)
{%- endmacro %}


{# dbt run-operation clear_reports --target as_known: drop what is known as of another date. #}
{% macro clear_reports() -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == "model" and node.schema == "production_as_known" -%}
        {%- set relation = existing(node.schema, node.alias) -%}
        {%- if relation is not none -%}
            {%- do adapter.drop_relation(relation) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query("commit") -%}
{%- endmacro %}
