{# Which rows of a report by period a build writes, and from which dates it reads. #}

{# The day, week and month rows that reported dates fall into. #}
{% macro in_periods(column) -%}
    {%- set ranges = reported_ranges() -%}
    {%- if var("dates", none) is none -%}
        {{ in_system() }}
    {%- elif not execute -%}
        false
    {%- else -%}
        ({{ in_system() }} and (
            period_type = 'day' and {{ in_ranges(column, widened(ranges)) }}
            {%- for period_type in ("week", "month") %}
            or period_type = '{{ period_type }}'
            and {{ in_ranges(column, whole_periods(ranges, period_type)) }}
            {%- endfor %}
        ))
    {%- endif -%}
{%- endmacro %}


{# The dates of those rows: whole weeks and months. #}
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
