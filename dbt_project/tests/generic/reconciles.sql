{#
    Both sides have the same measures in every group of `along`, within the slice of the build.
    measures: list of {here: expression on the model, there: expression on `to`}.
    here_along: the model's names for `along`, where they differ.
    slice: the rows of the build, by the name of a condition on the first of `along`, or in SQL;
    here_slice: the same for the model, where it differs.
    since: instead of a slice, a column; the rows of its last day are compared.
    only: which rows of `to` the model takes; here_only: which rows of the model are meant.
    known: of payments, those alone that are known as of the date.
#}
{% test reconciles(
    model, to, along, measures, slice="in_window", here_slice=none, since=none, only="true",
    here_only="true", here_along=none, known=false
) %}
{%- set keys = along | join(", ") -%}
{%- set here_keys = (here_along or along) | join(", ") -%}
{%- if since -%}
    {%- set newest = "(select max(" ~ since ~ ") from " ~ model ~ ")" -%}
    {%- set condition = (
        since ~ " <= " ~ newest ~ " and " ~ since ~ " >= " ~ newest
        ~ " - interval '1 day'"
    ) -%}
{%- else -%}
    {%- set condition = slice_condition(slice, along[0]) -%}
    {%- set here_condition = slice_condition(here_slice or slice, (here_along or along)[0]) -%}
{%- endif %}
with here as (
    select
        {{ here_keys }}
        {%- for measure in measures %},
        {{ measure.here }} as measure_{{ loop.index }}
        {%- endfor %}
    from {{ model }}
    where {{ condition if since else here_condition }} and {{ here_only }}
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
