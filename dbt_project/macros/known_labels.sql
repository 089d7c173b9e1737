{#
    The latest statement about each payment that was known at the end of the as-of day; of those
    known at the same instant, that of the source which is declared first.
#}
{% macro known_labels(labels) -%}
    {{ return(adapter.dispatch("known_labels", "tollgate")(labels)) }}
{%- endmacro %}

{% macro postgres__known_labels(labels) -%}
    select distinct on (source_system, event_id)
        source_system,
        event_id,
        is_fraud,
        known_at
    from {{ labels }}
    where known_at < {{ as_of_end() }}
    order by
        source_system asc,
        event_id asc,
        known_at desc,
        {{ label_source_rank() }} asc
{%- endmacro %}

{% macro snowflake__known_labels(labels) -%}
    select
        source_system,
        event_id,
        is_fraud,
        known_at
    from {{ labels }}
    where known_at < {{ as_of_end() }}
    qualify
        row_number() over (
            partition by source_system, event_id
            order by known_at desc, {{ label_source_rank() }} asc
        ) = 1
{%- endmacro %}


{# The place of a label's source among those that are declared, from 1. #}
{% macro label_source_rank() -%}
    case label_source
        {%- for label_source in label_sources() %}
        when '{{ label_source }}' then {{ loop.index }}
        {%- endfor %}
    end
{%- endmacro %}
