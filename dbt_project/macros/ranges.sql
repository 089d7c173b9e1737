{# Ranges of dates: lists of [first, last] in ISO text, inclusive. Slices consist of ranges. #}

{# The ranges extended by some days at either end; ranges that meet are joined. #}
{% macro widened(ranges, before=0, after=0) -%}
    {%- set joined = [] -%}
    {%- for days in ranges | sort if days[0] <= days[1] -%}
        {%- set first = shifted(days[0], -before) -%}
        {%- set last = shifted(days[1], after) -%}
        {%- if joined and first <= shifted(joined[-1][1], 1) -%}
            {%- do joined.append(
                [joined[-1][0], [joined.pop()[1], last] | max]
            ) -%}
        {%- else -%}
            {%- do joined.append([first, last]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(joined) }}
{%- endmacro %}


{# The whole weeks, from Monday, or months that the dates of some ranges fall into. #}
{% macro whole_periods(ranges, period_type) -%}
    {%- set whole = [] -%}
    {%- for days in ranges -%}
        {%- set first = modules.datetime.date.fromisoformat(days[0]) -%}
        {%- set last = modules.datetime.date.fromisoformat(days[1]) -%}
        {%- if period_type == "week" -%}
            {%- do whole.append([
                shifted(days[0], -first.weekday()),
                shifted(days[1], 6 - last.weekday()),
            ]) -%}
        {%- else -%}
            {#- Four days after its 28th day, every month is over. -#}
            {%- set after = shifted(last.replace(day=28).isoformat(), 4) -%}
            {%- set over = modules.datetime.date.fromisoformat(after).day -%}
            {%- do whole.append([
                first.replace(day=1).isoformat(), shifted(after, -over)
            ]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(widened(whole)) }}
{%- endmacro %}


{# A date some days later, or earlier, as ISO text. #}
{% macro shifted(day, days) -%}
    {%- set given = modules.datetime.date.fromisoformat(day) -%}
    {{ return((given + modules.datetime.timedelta(days=days)).isoformat()) }}
{%- endmacro %}


{# The part of the ranges up to a date. #}
{% macro clipped(ranges, last) -%}
    {%- set kept = [] -%}
    {%- for days in ranges if days[0] <= last -%}
        {%- do kept.append([days[0], [days[1], last] | min]) -%}
    {%- endfor -%}
    {{ return(kept) }}
{%- endmacro %}
