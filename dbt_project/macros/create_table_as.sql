{#
    The adapter's own, but for two things. A new table gets its keys after its rows, since building
    an index once is cheaper than growing it, and statistics, which its tests need. And where a
    slice is to be replaced, the query is named as a view and not copied first: the slice then goes
    to its table in one pass. Slices of recent runs, of versions, of maturing dates and of whole
    tables read their own table, so they are copied.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {#- A unit test builds its frames without a contract, and without a slice. -#}
    {%- set is_mart = config.get("contract").enforced -%}
    {%- if is_mart -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    {%- set reads_itself = model.config.meta.slice in ("recent", "versions", "maturing", "whole") -%}
    {%- if temporary and is_mart and not reads_itself %}
    create temporary view {{ relation }} as (
        {{ sql }}
    );
    {%- elif temporary or not is_mart %}
    create {{ "temporary" if temporary }} table {{ relation }} as (
        {{ sql }}
    );
    {%- else %}
    create table {{ relation }} (
        {{ adapter.render_raw_columns_constraints(raw_columns=model["columns"])
            | join(", ") }}
    );

    insert into {{ relation }} (
        {{ adapter.dispatch("get_column_names", "dbt")() }}
    )
    (
        {{ get_select_subquery(sql) }}
    );
    {% for constraint in adapter.render_raw_model_constraints(
        raw_constraints=model["constraints"]
    ) %}
    alter table {{ relation }} add {{ constraint }};
    {% endfor %}
    analyze {{ relation }};
    {%- endif %}
{%- endmacro %}
