{#
    The target `dev` builds in a developer's own schema, whole tables from a few business dates of
    STAGING: `developer_days` of them up to `as_of`, which is the newest one loaded, of `source` if
    that is given, unless it is given too. With `dates`, the line's own variables, it builds their
    slices as the line does.
#}

{# Whether that is so; a unit test brings its own rows and their dates. #}
{% macro is_of_developer() -%}
    {{ return(
        target.name == "dev" and var("dates", none) is none
        and (model | default({})).resource_type != "unit_test"
    ) }}
{%- endmacro %}


{# The end of the query of a staging view. #}
{% macro of_developer_dates(column="event_date") -%}
    {%- set last = as_of() if execute and is_of_developer() -%}
    {%- if last %}
    where {{ in_system() }} and {{ in_ranges(
        column, [[shifted(last, 1 - var("developer_days") | int), last]]
    ) }}
    {%- endif -%}
{%- endmacro %}


{# The newest business date in STAGING, as ISO text; none when nothing is loaded. #}
{% macro newest_date() -%}
    {%- set newest = run_query(
        "select max(event_date) from " ~ source("staging", "transactions")
        ~ " where " ~ in_system()
    ).columns[0].values()[0] -%}
    {{ return(newest | string if newest else none) }}
{%- endmacro %}
