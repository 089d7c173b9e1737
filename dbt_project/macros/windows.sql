{# A window's key, as contracts/windows.py writes it: `source@first` or `source@first--last`. #}

{% macro source_of_window(window_key) -%}
    split_part({{ window_key }}, '@', 1)
{%- endmacro %}


{% macro end_of_window(window_key) -%}
    right({{ window_key }}, 10)::date
{%- endmacro %}
