{# The English name of a month or a day of the week, by its number from 1: databases differ in how
   they pad and shorten their own. #}
{% macro name_of(number, names) -%}
    case {{ number }}
        {%- for name in names.split() %}
        when {{ loop.index }} then '{{ name }}'
        {%- endfor %}
    end
{%- endmacro %}
