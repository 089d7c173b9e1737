{# The English name of a month or a day of the week, by its number from 1, because databases pad and
   shorten these names in different ways. #}
{% macro name_of(number, names) -%}
    case {{ number }}
        {%- for name in names.split() %}
        when {{ loop.index }} then '{{ name }}'
        {%- endfor %}
    end
{%- endmacro %}
