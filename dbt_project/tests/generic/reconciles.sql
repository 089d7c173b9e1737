{#
    Both sides hold the same measures in every group of `along`, within the slice just built.
    measures: list of {here: expression on the model, there: expression on `to`}.
    only: which rows of `to` the model takes.
#}
{% test reconciles(model, to, along, measures, slice="touched", since=none, only="true") %}
{%- set keys = along | join(", ") -%}
{%- if since -%}
    {%- set newest = "(select max(" ~ since ~ ") from " ~ model ~ ")" -%}
    {%- set condition = (
        since ~ " <= " ~ newest ~ " and " ~ since ~ " >= " ~ newest
        ~ " - interval '1 day'"
    ) -%}
{%- else -%}
    {%- set condition = slice_condition(slice, along[0]) -%}
{%- endif %}
with here as (
    select
        {{ keys }}
        {%- for measure in measures %},
        {{ measure.here }} as measure_{{ loop.index }}
        {%- endfor %}
    from {{ model }}
    where {{ condition }}
    group by {{ keys }}
),

there as (
    select
        {{ keys }}
        {%- for measure in measures %},
        {{ measure.there }} as measure_{{ loop.index }}
        {%- endfor %}
    from {{ to }}
    where {{ condition }} and {{ only }}
    group by {{ keys }}
),

missing as (
    select * from there
    except
    select * from here
),

unexpected as (
    select * from here
    except
    select * from there
)

select * from missing
union all
select * from unexpected
{% endtest %}
