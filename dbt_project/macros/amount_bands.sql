{# The lower edges of the bands of amounts but the first, in whole units of any currency. #}
{% macro amount_band_edges() -%}
    {{ return([10, 25, 50, 100, 250, 500, 1000, 5000]) }}
{%- endmacro %}


{# The band of an amount in words: "under 10", "10 to 24.99", ..., "5000 and over". #}
{% macro amount_band(amount) -%}
    {%- set edges = amount_band_edges() -%}
    case
        when {{ amount }} < {{ edges[0] }} then 'under {{ edges[0] }}'
        {%- for edge in edges[1:] %}
        when {{ amount }} < {{ edge }}
            then '{{ edges[loop.index0] }} to {{ edge - 1 }}.99'
        {%- endfor %}
        else '{{ edges[-1] }} and over'
    end
{%- endmacro %}


{# The place of an amount's band from 1, to sort by. #}
{% macro amount_band_rank(amount) -%}
    (1
    {%- for edge in amount_band_edges() %}
        + case when {{ amount }} >= {{ edge }} then 1 else 0 end
    {%- endfor %})
{%- endmacro %}
