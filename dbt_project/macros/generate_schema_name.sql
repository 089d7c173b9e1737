{#
    The folder's schema is the schema; marts are built where only the gate looks. As known on another
    date, reports are built beside PRODUCTION, from its facts. What a developer builds is all in one
    schema.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = (custom_schema_name or target.schema) | trim -%}
    {%- if target.name == "dev" -%}
        {{ target.schema }}
    {%- elif schema == "production" and target.name == "audit" -%}
        production_audit
    {%- elif target.name == "as_known" and "reports" in node.fqn -%}
        production_as_known
    {%- else -%}
        {{ schema }}
    {%- endif -%}
{%- endmacro %}
