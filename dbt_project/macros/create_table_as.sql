{#
    As the adapter's default, except that a new table gets its keys after its rows, because building
    an index once is cheaper than updating it, and then statistics, which its tests need.
#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {#- A unit test builds its frames without a contract, and without a slice. -#}
    {%- set is_mart = config.get("contract").enforced -%}
    {%- if is_mart -%}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif -%}
    {%- if temporary or not is_mart %}
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
