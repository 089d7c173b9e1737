{# The operations of warehouse/full_refresh.py; Postgres only. #}

{# dbt run-operation clear_audit: drop every mart that waits for its gate. #}
{% macro clear_audit() %}
    {%- set statements = ["begin"] -%}
    {%- for node in marts() -%}
        {%- do statements.append(
            "drop table if exists production_audit." ~ adapter.quote(node.alias)
        ) -%}
    {%- endfor -%}
    {%- do run_query((statements + ["commit"]) | join(";\n")) -%}
{% endmacro %}


{# dbt run-operation publish_rebuilt: publish all audited marts in one transaction. #}
{% macro publish_rebuilt() %}
    {%- do run_query(postgres__published(marts(), whole=true) | join(";\n")) -%}
{% endmacro %}


{# dbt run-operation restore_rebuilt: replace all audited marts by those of production. #}
{% macro restore_rebuilt() %}
    {%- set statements = ["begin"] -%}
    {%- for node in marts() -%}
        {%- set audit = "production_audit." ~ adapter.quote(node.alias) -%}
        {%- set live = existing("production", node.alias) -%}
        {%- do statements.append("drop table if exists " ~ audit) -%}
        {%- if live is not none -%}
            {%- do statements.extend([
                "create table " ~ audit ~ " (like " ~ live ~ " including all)",
                "insert into " ~ audit ~ " select * from " ~ live,
                "analyze " ~ audit,
            ]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query((statements + ["commit"]) | join(";\n")) -%}
{% endmacro %}
