{#
    The target `dev` rebuilds tables in full, in the developer's schema, from a few business dates of
    STAGING: the last `developer_days` up to `as_of`. Without that variable it is the newest date
    loaded, of `source` where that is given. With `dates`, and the pipeline's other variables, slices
    are built as the pipeline builds them.
#}

{# Whether tables are built from a few dates only; a unit test has its own rows. #}
{% macro is_of_developer() -%}
    {{ return(
        target.name == "dev" and var("dates", none) is none
        and (model | default({})).resource_type != "unit_test"
    ) }}
{%- endmacro %}


{# The condition of a staging view on its dates. #}
{% macro of_developer_dates(column="event_date") -%}
    {%- set last = as_of() if execute and is_of_developer() -%}
    {%- if last %}
    where {{ in_system() }} and {{ in_ranges(
        column, [[shifted(last, 1 - var("developer_days") | int), last]]
    ) }}
    {%- endif -%}
{%- endmacro %}


{# The as-of date as ISO text; none without a cut-off. #}
{% macro as_of() -%}
    {%- set given = var("as_of", none) -%}
    {%- if execute and given is none and is_of_developer() -%}
        {{ return(newest_date()) }}
    {%- endif -%}
    {{ return(none if given is none else given | string) }}
{%- endmacro %}


{# The newest business date in STAGING, as ISO text; none when nothing is loaded. #}
{% macro newest_date() -%}
    {%- set newest = run_query(
        "select max(event_date) from " ~ source("staging", "transactions")
        ~ " where " ~ in_system()
    ).columns[0].values()[0] -%}
    {{ return(newest | string if newest else none) }}
{%- endmacro %}
