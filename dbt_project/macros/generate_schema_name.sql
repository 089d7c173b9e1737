{# The folder's schema is the schema; marts are built where only the gate looks. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = (custom_schema_name or target.schema) | trim -%}
    {%- if schema == "production" and target.name == "audit" -%}
        production_audit
    {%- else -%}
        {{ schema }}
    {%- endif -%}
{%- endmacro %}
