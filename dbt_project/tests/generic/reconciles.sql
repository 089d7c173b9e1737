{#
    Both sides hold the same measures in every group of `along`, within the slice just built.
    measures: list of {here: expression on the model, there: expression on `to`}.
    only: which rows of `to` the model takes; here_only: which rows of the model are meant.
    here_along: the model's own names for `along`, where they differ.
    here_slice, to_slice: {kind, column} of either side's rows, in place of `slice` on `along`.
    known: of payments, those alone that are known as of the date.
#}
{% test reconciles(
    model, to, along, measures, slice="touched", since=none, only="true", here_only="true",
    here_along=none, here_slice=none, to_slice=none, known=false
) %}
{%- set keys = along | join(", ") -%}
{%- set here_names = here_along or along -%}
{%- set here_keys = here_names | join(", ") -%}
{%- if since -%}
    {%- set newest = "(select max(" ~ since ~ ") from " ~ model ~ ")" -%}
    {%- set condition = (
        since ~ " <= " ~ newest ~ " and " ~ since ~ " >= " ~ newest
        ~ " - interval '1 day'"
    ) -%}
{%- else -%}
    {%- set there = to_slice or {"kind": slice, "column": along[0]} -%}
    {%- set condition = slice_condition(there.kind, there.column) -%}
{%- endif %}
{%- set here = here_slice or {"kind": slice, "column": here_names[0]} -%}
{%- set here_condition = (
    condition if since else slice_condition(here.kind, here.column)
) %}
with here as (
    select
        {{ here_keys }}
        {%- for measure in measures %},
        {{ measure.here }} as measure_{{ loop.index }}
        {%- endfor %}
    from {{ model }}
    where {{ here_condition }} and {{ here_only }}
    group by {{ here_keys }}
),

there as (
    select
        {{ keys }}
        {%- for measure in measures %},
        {{ measure.there }} as measure_{{ loop.index }}
        {%- endfor %}
    from {{ to }}
    where
        {{ condition }} and {{ only }}
        {% if known %}and {{ payment_known_date() }} <= {{ as_of_date() }}{% endif %}
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
