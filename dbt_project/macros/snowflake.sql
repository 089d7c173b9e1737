{# What differs on Snowflake: the other half of each macro that asks the adapter. #}

{# Times are kept with their offset, which the day must not depend on. #}
{% macro snowflake__utc_date(instant) -%}
    convert_timezone('UTC', {{ instant }})::date
{%- endmacro %}

{% macro snowflake__business_date(instant) -%}
    convert_timezone('{{ var("zone", "UTC") }}', {{ instant }})::date
{%- endmacro %}

{% macro snowflake__utc_hour(instant) -%}
    date_part(hour, convert_timezone('UTC', {{ instant }}))::integer
{%- endmacro %}

{# Cast to a date: fakesnow, which the tests use, returns a timestamp. #}
{% macro snowflake__add_days(date, days) -%}
    dateadd(day, ({{ days }})::integer, {{ date }})::date
{%- endmacro %}

{% macro snowflake__days_between(later, earlier) -%}
    datediff(day, {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro snowflake__date_at_end(text) -%}
    case
        when right({{ text }}, 10) like '____-__-__'
            then try_to_date(right({{ text }}, 10), 'YYYY-MM-DD')
    end
{%- endmacro %}

{% macro snowflake__end_of_time() -%}
    cast('9999-12-31 00:00:00 +00:00' as timestamp with time zone)
{%- endmacro %}

{% macro snowflake__beginning_of_time() -%}
    cast('0001-01-01 00:00:00 +00:00' as timestamp with time zone)
{%- endmacro %}

{% macro snowflake__first_of(array) -%}
    ({{ array }})[0]::varchar
{%- endmacro %}

{% macro snowflake__no_texts() -%}
    array_construct()
{%- endmacro %}

{# Rows of unit tests write an array as Postgres reads it; the rest is as the adapter has it. #}
{% macro snowflake__safe_cast(field, type) -%}
    {%- set array = modules.re.fullmatch("'\{([^:]*)\}'", field | string) -%}
    {%- if array and (type | upper == "ARRAY" or (type | upper == "VARIANT" and array[1])) -%}
        {%- set entries = array[1].replace('"', "").split(",") if array[1] else [] -%}
        cast(array_construct(
            {%- for entry in entries %}'{{ entry }}'{{ "," if not loop.last }}{% endfor -%}
        ) as {{ type }})
    {%- elif type | upper == "VARIANT" -%}
        cast({{ field }} as {{ type }})
    {%- else -%}
        try_cast({{ dbt.string_literal(field) if field is number else field }} as {{ type }})
    {%- endif -%}
{%- endmacro %}

{% macro snowflake__iso_week(date) -%}
    weekiso({{ date }})
{%- endmacro %}

{% macro snowflake__iso_weekday(date) -%}
    dayofweekiso({{ date }})
{%- endmacro %}

{# A table function takes no column there; five digits are 273 years of days. #}
{% macro snowflake__numbers(alias, last) -%}
    (
        select
            {%- for place in (1, 10, 100, 1000, 10000) %}
            {{ place }} * n{{ place }}.digit {{ "+" if not loop.last else "as number" }}
            {%- endfor %}
        from
            {%- for place in (1, 10, 100, 1000, 10000) %}
            (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as n{{ place }} (digit)
            {{- "," if not loop.last }}
            {%- endfor %}
    ) as {{ alias }}
{%- endmacro %}

{% macro snowflake__deduplicate(relation, partition_by, order_by) -%}
    select *
    from {{ relation }}
    qualify row_number() over (partition by {{ partition_by }} order by {{ order_by }}) = 1
{%- endmacro %}

{# Snowflake commits each statement unless a transaction was begun. #}
{% macro snowflake__replaced(target, statements) -%}
    begin;
    {{ statements }};
    commit
{%- endmacro %}

{#
    As on Postgres, a mart's table is created from its contract and then filled, so that a duplicate
    key or a forbidden null fails wherever the warehouse enforces it. The query of a slice is copied
    first, in the contract's types too, because a slice of recent runs reads the rows that are about
    to be deleted. Its table is transient, not temporary, because the adapter names it by a schema.
#}
{% macro snowflake__create_table_as(temporary, relation, compiled_code, language="sql") -%}
    {%- set is_mart = config.get("contract").enforced -%}
    {%- if is_mart -%}
        {{ get_assert_columns_equivalent(compiled_code) }}
    {%- endif -%}
    {%- if not is_mart %}
    create or replace transient table {{ relation }} as (
        {{ compiled_code }}
    );
    {%- else %}
    create or replace {{ "transient " if temporary }}table {{ relation }}
    {{ get_table_columns_and_constraints() }};

    insert into {{ relation }} (
        {{ adapter.dispatch("get_column_names", "dbt")() }}
    )
    (
        {{ get_select_subquery(compiled_code) }}
    );
    {%- endif %}
{%- endmacro %}

{# The adapter's default is a view where possible. #}
{% macro dbt_snowflake_get_tmp_relation_type(strategy, unique_key, language) %}
    {{ return("table") }}
{% endmacro %}


{#
    Tables are made before the transaction, since making one would end it. One that is new is made
    empty, so that its rows come with those of all others. One whose contract changed is made whole
    beside and takes its place at once, but apart from the others: no statement swaps two. Readers
    are granted the tables to come (docs/snowflake.md), and a table keeps its grants when it moves.
#}
{% macro snowflake__published(nodes) -%}
    {%- set tables = [] -%}
    {%- set swaps = [] -%}
    {%- set slices = [] -%}
    {%- for node in nodes -%}
        {%- set audit = existing(node.schema, node.alias) -%}
        {%- set live = existing("production", node.alias) -%}
        {%- if live is not none and same_columns(audit, live) -%}
            {%- do slices.extend(move_slice(node, audit, live)) -%}
        {%- else -%}
            {%- set whole = snowflake__publish_whole(node, audit, live) -%}
            {%- do tables.extend(whole.tables) -%}
            {%- do swaps.extend(whole.swaps) -%}
            {%- do slices.extend(whole.slices) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(tables + swaps + ["begin"] + slices + ["commit"]) }}
{%- endmacro %}

{# A table beside is made without its key, then filled, then keyed: no statement does all three. #}
{% macro snowflake__publish_whole(node, audit, live) -%}
    {%- set name = api.Relation.create(
        database=target.database,
        schema="production",
        identifier=node.alias ~ ("" if live is none else "__fresh"),
        type="table"
    ) -%}
    {%- set columns = adapter.render_raw_columns_constraints(raw_columns=node.columns) -%}
    {%- set keys = adapter.render_raw_model_constraints(raw_constraints=node.constraints) -%}
    {%- set filled = (
        "insert into " ~ name ~ " select " ~ node.columns.keys() | join(", ") ~ " from " ~ audit
    ) -%}
    {%- set described = [] -%}
    {%- for column in node.columns -%}
        {%- do described.append(get_column_comment_sql(column, node.columns)) -%}
    {%- endfor -%}
    {%- set comments = [
        alter_relation_comment(name, node.description) | trim | trim(";"),
        "alter table " ~ name ~ " alter " ~ described | join(", "),
    ] -%}
    {%- if live is none -%}
        {%- set create = "create table " ~ name ~ " (" ~ (columns + keys) | join(", ") ~ ")" -%}
        {{ return({"tables": [create] + comments, "swaps": [], "slices": [filled]}) }}
    {%- else -%}
        {%- set create = "create or replace table " ~ name ~ " (" ~ columns | join(", ") ~ ")" -%}
        {%- set keyed = [] -%}
        {%- for key in keys -%}
            {%- do keyed.append("alter table " ~ name ~ " add " ~ key) -%}
        {%- endfor -%}
        {{ return({
            "tables": [create, filled] + keyed + comments,
            "swaps": ["alter table " ~ live ~ " swap with " ~ name, "drop table " ~ name],
            "slices": [],
        }) }}
    {%- endif -%}
{%- endmacro %}
