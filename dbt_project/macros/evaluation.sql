{# generated from contracts/ by `make contracts`: do not edit #}

{% macro calibration_edges() -%}
    {{ return([0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]) }}
{%- endmacro %}


{% macro cards_a_day() -%}
    {{ return(100) }}
{%- endmacro %}


{% macro drift_limits() -%}
    {{ return([0.1, 0.25]) }}
{%- endmacro %}


{% macro label_sources() -%}
    {{ return(['truth', 'chargeback', 'rule', 'anomaly', 'analyst', 'unreported']) }}
{%- endmacro %}
