{#
    A slice is the part of a mart that one build writes: of one source system, since a window is
    the business dates of one, and what another source brings must wait for its own gate:
        source    all of the source (small tables)
        touched   its business dates in the window
        reported  those, and its dates whose labels became known since the last build
        periods   the days, weeks and months that reported dates fall into
        versions  all of the source, from what is held of it and the window's payments; written is
                  what differs (macros/versions.sql)
        versioned its business dates in the window, and those on which the build gave payments
                  another version of their customer or merchant
        maturing, matured, back_tested
                  see macros/maturity.sql
        rolling, last_date, last_window
                  see macros/rolling.sql
    and of no source in particular:
        whole     all of it (a row a date that older runs still change)
        dates     the calendar dates of the window
        recent    runs recorded since the newest one held, with a day of overlap, or the dates
                  of such runs where `slice_key` names their column in place of `run_id`
    A model names its slice and the column it runs along under `config: meta:`.

    Variables, set by warehouse/transform.py; without `dates` everything is built:
        source      source system of the window
        dates       list of [first, last], inclusive
        known_from  first business date whose knowledge is new
        as_of       last business date whose knowledge is used
#}

{% macro in_system(column="source_system") -%}
    {%- if var("source", none) is none -%}
        true
    {%- else -%}
        {{ column }} = '{{ var("source") }}'
    {%- endif -%}
{%- endmacro %}


{% macro in_dates(column) -%}
    {%- set ranges = var("dates", none) -%}
    {%- if ranges is none -%}
        true
    {%- else -%}
        {{ in_ranges(column, ranges) }}
    {%- endif -%}
{%- endmacro %}


{% macro in_ranges(column, ranges) -%}
    (
    {%- for days in ranges -%}
        {{ column }} between date '{{ days[0] }}' and date '{{ days[1] }}' or {# -#}
    {%- endfor -%}
    false)
{%- endmacro %}


{% macro touched(column, source="source_system") -%}
    ({{ in_system(source) }} and {{ in_dates(column) }})
{%- endmacro %}


{# Dates as literals: a subquery here would read the whole fact. #}
{% macro reported(column, source="source_system") -%}
    {%- set ranges = reported_ranges() -%}
    {%- if var("dates", none) is none -%}
        {{ in_system(source) }}
    {%- elif not execute -%}
        false
    {%- else -%}
        ({{ in_system(source) }} and {{ in_ranges(column, ranges) }})
    {%- endif -%}
{%- endmacro %}


{# Each [first, last] of the dates in the window and of those that labels made news. #}
{% macro reported_ranges() -%}
    {%- set ranges = [] -%}
    {%- if not execute -%}
        {#- dbt learns here what a model depends on. -#}
        {%- set labels = ref("fct_fraud_labels") -%}
    {%- elif var("dates", none) is not none -%}
        {%- set labels = ref("fct_fraud_labels") -%}
        {%- do ranges.extend(var("dates")) -%}
        {%- set known = run_query(
            "select distinct event_date from " ~ labels
            ~ " where " ~ in_system()
            ~ " and known_at >= " ~ midnight(var("known_from"))
            ~ " and known_at < " ~ as_of_end() ~ " order by event_date"
        ).columns[0].values() -%}
        {%- for day in known -%}
            {%- do ranges.append([day | string, day | string]) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(ranges) }}
{%- endmacro %}


{# Dates as literals, as above. #}
{% macro versioned(column, source="source_system") -%}
    ({{ in_system(source) }} and ({{ in_dates(column) }}
    {%- if execute and var("dates", none) is not none %}
    {%- for day in renewed_dates() %} or {{ column }} = date '{{ day }}'
    {%- endfor %}
    {%- endif -%}))
{%- endmacro %}


{# A label counts when it was known before this instant. #}
{% macro as_of_end() -%}
    {%- if as_of() is none -%}
        {{ end_of_time() }}
    {%- else -%}
        {{ midnight(as_of()) }} + interval '1 day'
    {%- endif -%}
{%- endmacro %}


{% macro midnight(day) -%}
    cast('{{ day }} 00:00:00 +00:00' as timestamp with time zone)
{%- endmacro %}


{% macro slice_condition(kind, column) -%}
    {%- if kind in ("source", "versions") -%}
        {{ in_system() }}
    {%- elif kind == "whole" -%}
        true
    {%- elif kind == "versioned" -%}
        {{ versioned(column) }}
    {%- elif kind == "dates" -%}
        {{ in_dates(column) }}
    {%- elif kind == "reported" -%}
        {{ reported(column) }}
    {%- elif kind == "periods" -%}
        {{ in_periods(column) }}
    {%- elif kind == "maturing" -%}
        {{ maturing(column) }}
    {%- elif kind == "matured" -%}
        {{ matured(column) }}
    {%- elif kind == "back_tested" -%}
        {{ back_tested(column) }}
    {%- elif kind == "rolling" -%}
        {{ rolling(column) }}
    {%- elif kind == "last_date" -%}
        {{ in_last_days(column, 1) }}
    {%- elif kind == "last_window" -%}
        {{ in_last_days(column, 30) }}
    {%- else -%}
        {{ touched(column) }}
    {%- endif -%}
{%- endmacro %}


{#
    The runs of a recent slice: those that `records` say something new about. `held` names the column
    of the mart that tells how new it is, where that is not `told` in the records.
#}
{% macro recent_runs(records, told, held=none) -%}
    select run_id
    from {{ records }}
    {%- if is_incremental() %}
    where
        {{ told }} >= (
            select
                coalesce(
                    max(held.{{ held or told }}) - interval '1 day',
                    {{ beginning_of_time() }}
                )
            from {{ this }} as held
        )
    {%- endif %}
{%- endmacro %}


{# What a recent slice is made of: whole runs, or whole dates. #}
{% macro slice_key(meta) -%}
    {{ return(meta.slice_key or "run_id") }}
{%- endmacro %}


{# delete the slice, insert the query: what the built-in delete+insert does, by slice not by key #}
{% macro get_incremental_slice_sql(arg_dict) %}
    {%- set meta = model.config.meta -%}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set fresh = arg_dict["temp_relation"] -%}
    {%- set columns = get_quoted_csv(
        arg_dict["dest_columns"] | map(attribute="name")
    ) -%}
    {%- set statements -%}
    {% if meta.slice in ("versions", "whole") -%}
    {{ differing(model, fresh, target) | join(";\n") }};
    {%- else -%}
    delete from {{ target }} where
    {% if meta.slice == "recent" -%}
        {%- set key = slice_key(meta) %}
        {{ key }} in (select {{ key }} from {{ fresh }})
    {%- elif meta.slice == "versioned" -%}
        {#- Payments of other dates stay, and get their versions afterwards. -#}
        {{ touched(meta.slice_column) }}
    {%- else -%}
        {{ slice_condition(meta.slice, meta.slice_column) }}
    {%- endif %};

    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ fresh }};
    {%- endif %}
    {%- endset %}
    {{ adapter.dispatch("slice_replaced", "tollgate")(target, statements) }}
{% endmacro %}


{#
    Tests come before the server's own statistics: with those from before a source's first window,
    one of them took 414 s over 46,000 rows beside 1.7 million others. Only what tables are joined
    and cut by is looked at, in 300 rows for each of 30 bounds: all columns at the server's 100 took
    a fourth of a day's build.
#}
{% macro postgres__slice_replaced(target, statements) -%}
    {{ statements }}

    set local default_statistics_target = 30;
    analyze {{ target }} ({{ searched_columns(model) | join(", ") }})
{%- endmacro %}


{# The columns of a mart's key, slice and indexes. #}
{% macro searched_columns(node) -%}
    {%- set columns = key_of(node).split(", ") -%}
    {%- for index in node.config.indexes -%}
        {%- do columns.extend(index.columns) -%}
    {%- endfor -%}
    {%- if node.config.meta.slice_column -%}
        {%- do columns.append(node.config.meta.slice_column) -%}
    {%- endif -%}
    {{ return(columns | unique | list) }}
{%- endmacro %}
