{# The adapter's default returns ARRAY for every array, a type that unit tests cannot cast to. #}
{% macro postgres__get_columns_in_relation(relation) -%}
    {% call statement("get_columns_in_relation", fetch_result=true) %}
        select
            column_name,
            case data_type
                when 'ARRAY' then ltrim(udt_name, '_') || '[]'
                else data_type
            end as data_type,
            character_maximum_length,
            numeric_precision,
            numeric_scale
        from information_schema.columns
        where
            table_name = '{{ relation.identifier }}'
            {% if relation.schema %}
            and table_schema = '{{ relation.schema }}'
            {% endif %}
        order by ordinal_position
    {% endcall %}
    {%- set table = load_result("get_columns_in_relation").table -%}
    {{ return(sql_convert_columns_in_relation(table)) }}
{%- endmacro %}
