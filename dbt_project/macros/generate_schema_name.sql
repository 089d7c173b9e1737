{#
    The folder decides the schema. Marts are built in `production_audit`, which only the gate reads.
    With the target `scores`, only the marts of scores are there, and read the others in PRODUCTION.
    Reports as known on another date are built in `production_as_known`, from the facts of PRODUCTION.
    The target `dev` builds everything in the developer's schema.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = (custom_schema_name or target.schema) | trim -%}
    {%- if target.name == "dev" -%}
        {{ target.schema }}
    {%- elif schema == "production" and target.name == "audit" -%}
        production_audit
    {%- elif target.name == "scores" and "scores" in node.fqn -%}
        production_audit
    {%- elif target.name == "as_known" and "reports" in node.fqn -%}
        production_as_known
    {%- else -%}
        {{ schema }}
    {%- endif -%}
{%- endmacro %}
