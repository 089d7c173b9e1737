{# The lower or, if `upper`, the upper edge of the bin that a score falls into. #}
{% macro bin_edge(score, upper=false) -%}
    {%- set edges = calibration_edges() -%}
    {%- set shown = edges[1:] if upper else edges[:-1] -%}
    cast(case
        {%- for edge in edges[1:-1] %}
        when {{ score }} < {{ edge }} then {{ shown[loop.index0] }}
        {%- endfor %}
        else {{ shown[-1] }}
    end as double precision)
{%- endmacro %}
