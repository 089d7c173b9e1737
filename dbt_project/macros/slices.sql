{#
    A slice is the part of a mart that one build writes:
        whole     all of it (small tables)
        touched   the business dates of the window
        reported  those, and dates whose labels became known since the last build
        recent    runs recorded since the newest one held, with a day of overlap
    A model names its slice and the column it runs along under `config: meta:`.

    Variables, set by warehouse/transform.py; without `dates` everything is built:
        dates       list of [first, last], inclusive
        known_from  first business date whose knowledge is new
        as_of       last business date whose knowledge is used
#}

{% macro touched(column) -%}
    {%- set ranges = var("dates", none) -%}
    {%- if ranges is none -%}
        true
    {%- else -%}
        (
        {%- for days in ranges -%}
            {{ column }} between date '{{ days[0] }}' and date '{{ days[1] }}' or {# -#}
        {%- endfor -%}
        false)
    {%- endif -%}
{%- endmacro %}


{# Dates as literals: a subquery here would read the whole fact. #}
{% macro reported(column) -%}
    {%- set labels = ref("fct_fraud_labels") -%}
    {%- if var("dates", none) is none -%}
        true
    {%- elif not execute -%}
        false
    {%- else -%}
        {%- set dates = run_query(
            "select distinct event_date from " ~ labels
            ~ " where known_at >= " ~ midnight(var("known_from"))
            ~ " and known_at < " ~ as_of_end() ~ " order by event_date"
        ).columns[0].values() -%}
        ({{ touched(column) }}
        {%- for known in dates %} or {{ column }} = date '{{ known }}'
        {%- endfor -%})
    {%- endif -%}
{%- endmacro %}


{# A label counts when it was known before this instant. #}
{% macro as_of_end() -%}
    {%- if var("as_of", none) is none -%}
        timestamptz 'infinity'
    {%- else -%}
        {{ midnight(var("as_of")) }} + interval '1 day'
    {%- endif -%}
{%- endmacro %}


{% macro midnight(day) -%}
    timestamptz '{{ day }} 00:00:00+00'
{%- endmacro %}


{% macro slice_condition(kind, column) -%}
    {%- if kind == "whole" -%}
        true
    {%- elif kind == "reported" -%}
        {{ reported(column) }}
    {%- else -%}
        {{ touched(column) }}
    {%- endif -%}
{%- endmacro %}


{# delete the slice, insert the query: what the built-in delete+insert does, by slice not by key #}
{% macro get_incremental_slice_sql(arg_dict) %}
    {%- set meta = model.config.meta -%}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set fresh = arg_dict["temp_relation"] -%}
    {%- set columns = get_quoted_csv(
        arg_dict["dest_columns"] | map(attribute="name")
    ) -%}
    delete from {{ target }} where
    {% if meta.slice == "recent" -%}
        run_id in (select run_id from {{ fresh }})
    {%- else -%}
        {{ slice_condition(meta.slice, meta.slice_column) }}
    {%- endif %};

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ fresh }}
{% endmacro %}
