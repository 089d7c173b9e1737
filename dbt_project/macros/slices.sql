{#
    Conditions that select the rows of a mart which a build writes. A model has one of them under
    `incremental_predicates`, and filters its inputs by the same one. docs/dbt.md describes the five
    kinds. A window is business dates of one source system, so the conditions select rows of this
    source only.

    Variables, set by warehouse/transform.py; without `dates` everything is built:
        source      source system of the window
        dates       list of [first, last], inclusive
        known_from  first business date whose labels are new since the last build
        as_of       last business date whose labels and deliveries are used

    Dates are literals, because with a subquery Postgres would read the whole fact.
#}

{# The rows of the window's source. #}
{% macro in_system(column="source_system") -%}
    {%- if var("source", none) is none -%}
        true
    {%- else -%}
        {{ column }} = '{{ var("source") }}'
    {%- endif -%}
{%- endmacro %}


{# The business dates of the window. #}
{% macro in_window(column, source="source_system") -%}
    ({{ in_system(source) }} and {{ in_dates(column) }})
{%- endmacro %}


{#
    The business dates of the window, and those whose labels became known since the last build.
    Arguments, in days:
        after   also this many days after each date
        since   also the dates from this many days before the last build on
        until   only dates that are at least this old on the as-of date
        before  also this many days before each date, for a model that reads more than it writes
#}
{% macro reported(column, after=0, since=none, until=none, before=0) -%}
    {%- set ranges = reported_ranges(after, since, until) -%}
    {%- if var("dates", none) is none and (until is none or as_of() is none) -%}
        {{ in_system() }}
    {%- elif not execute -%}
        false
    {%- elif var("dates", none) is none -%}
        ({{ in_system() }} and {{ column }} <= date '{{ shifted(as_of(), -until) }}')
    {%- else -%}
        ({{ in_system() }} and {{ in_ranges(column, widened(ranges, before=before)) }})
    {%- endif -%}
{%- endmacro %}


{# The days, weeks and months, by their first date, that reported dates fall into. #}
{% macro in_periods(column) -%}
    {%- set ranges = reported_ranges() -%}
    {%- if var("dates", none) is none -%}
        {{ in_system() }}
    {%- elif not execute -%}
        false
    {%- else -%}
        ({{ in_system() }} and (
            period_type = 'day' and {{ in_ranges(column, ranges) }}
            {%- for period_type in ("week", "month") %}
            or period_type = '{{ period_type }}'
            and {{ in_ranges(column, whole_periods(ranges, period_type)) }}
            {%- endfor %}
        ))
    {%- endif -%}
{%- endmacro %}


{# The dates of those periods: whole weeks and months. #}
{% macro in_whole_periods(column) -%}
    {%- set ranges = reported_ranges() -%}
    {%- if var("dates", none) is none -%}
        {{ in_system() }}
    {%- elif not execute -%}
        false
    {%- else -%}
        {%- set whole = widened(
            whole_periods(ranges, "week") + whole_periods(ranges, "month")
        ) -%}
        ({{ in_system() }} and {{ in_ranges(column, whole) }})
    {%- endif -%}
{%- endmacro %}


{# The last `days` dates up to the as-of date, or up to `until` days before it. #}
{% macro in_last_days(column, days, until=0) -%}
    {%- if as_of() is none or not execute -%}
        false
    {%- else -%}
        {%- set last = shifted(as_of(), -until) -%}
        ({{ in_system() }} and {{ in_ranges(column, [[shifted(last, 1 - days), last]]) }})
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


{# Each [first, last] of the dates that `reported` describes; none without `dates`. #}
{% macro reported_ranges(after=0, since=none, until=none) -%}
    {%- if execute and var("dates", none) is none -%}
        {{ return([]) }}
    {%- endif -%}
    {%- set labels = ref("fct_fraud_labels") -%}
    {%- if not execute -%}
        {#- While dbt parses, the ref above records the dependency. -#}
        {{ return([]) }}
    {%- endif -%}
    {%- set ranges = var("dates") | list -%}
    {%- set known = run_query(
        "select distinct event_date from " ~ labels
        ~ " where " ~ in_system()
        ~ " and known_at >= " ~ midnight(var("known_from"))
        ~ " and known_at < " ~ as_of_end() ~ " order by event_date"
    ).columns[0].values() -%}
    {%- for day in known -%}
        {%- do ranges.append([day | string, day | string]) -%}
    {%- endfor -%}
    {%- set ranges = widened(ranges, after=after) -%}
    {%- if since is not none -%}
        {%- do ranges.append([shifted(var("known_from"), -since), as_of()]) -%}
    {%- endif -%}
    {%- if until is not none -%}
        {%- set ranges = clipped(ranges, shifted(as_of(), -until)) -%}
    {%- endif -%}
    {{ return(widened(ranges)) }}
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


{# The rows of the build, for a test: the name of a condition of this file, or SQL. #}
{% macro slice_condition(slice, column) -%}
    {%- if slice == "in_window" -%}
        {{ in_window(column) }}
    {%- elif slice == "reported" -%}
        {{ reported(column) }}
    {%- elif slice == "back_tested" -%}
        {{ back_tested(column) }}
    {%- else -%}
        {{ slice }}
    {%- endif -%}
{%- endmacro %}
