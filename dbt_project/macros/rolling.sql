{#
    Slices of figures over windows of up to 30 days, of the window's source:
        rolling      dates whose windows hold a reported date, the day after the longest of them,
                     and dates that have come since the last build
        last_date    the as-of date
        last_window  the 30 days up to it
#}

{# With `before`, the dates from so many days before each. #}
{% macro rolling(column, before=0) -%}
    {%- set ranges = reported_ranges() -%}
    {%- if var("dates", none) is none -%}
        {{ in_system() }}
    {%- elif not execute -%}
        false
    {%- else -%}
        {%- set moved = clipped(
            widened(ranges, after=30) + [[var("known_from"), as_of()]],
            as_of()
        ) -%}
        ({{ in_system() }} and {{ in_ranges(
            column, widened(moved, before=before)
        ) }})
    {%- endif -%}
{%- endmacro %}


{# The dates so many days up to the as-of date. #}
{% macro in_last_days(column, days) -%}
    {%- if as_of() is none or not execute -%}
        false
    {%- else -%}
        ({{ in_system() }} and {{ in_ranges(
            column, [[shifted(as_of(), 1 - days), as_of()]]
        ) }})
    {%- endif -%}
{%- endmacro %}


{# The sum of what changed of a figure of a window up to each date. #}
{% macro sum_so_far(figure) -%}
    sum({{ figure }}) over (
        partition by source_system, currency, window_days
        order by calendar_date
        rows between unbounded preceding and current row
    )
{%- endmacro %}
