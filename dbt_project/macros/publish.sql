{#
    dbt run-operation publish --args '{layer: core}'
    Copy the slices of a layer from production_audit to production, in one transaction.
#}
{% macro publish(layer) %}
    {%- set nodes = marts(layer) -%}
    {%- for node in nodes if existing(node.schema, node.alias) is none -%}
        {{ exceptions.raise_compiler_error(
            node.alias ~ " was never built: build layer " ~ layer ~ " first."
        ) }}
    {%- endfor -%}
    {%- set statements = adapter.dispatch("published", "tollgate")(nodes) -%}
    {%- do run_query(statements | join(";\n")) -%}
    {%- do log("published layer " ~ layer, info=true) -%}
{% endmacro %}


{# Statements that publish the slices of marts, or all of each mart when `whole`. #}
{% macro postgres__published(nodes, whole=false) %}
    {%- set statements = [
        "begin",
        "select pg_advisory_xact_lock(hashtext('tollgate publish'))",
    ] -%}
    {%- set swaps = [] -%}
    {%- for node in nodes -%}
        {%- set audit = existing(node.schema, node.alias) -%}
        {%- set live = existing("production", node.alias) -%}
        {%- if whole or live is none or not same_columns(audit, live) -%}
            {%- do statements.extend(copy_beside(node, audit)) -%}
            {%- do swaps.extend(swap_in(node)) -%}
        {%- else -%}
            {%- do statements.extend(move_slice(node, audit, live)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(statements + swaps + ["commit"]) }}
{% endmacro %}


{#
    dbt run-operation restore --args '{layer: core}'
    Replace the slices of a layer in production_audit by those of production.
#}
{% macro restore(layer) %}
    {%- set statements = ["begin"] -%}
    {%- for node in marts(layer)
        if node.config.incremental_strategy != "delete+insert" -%}
        {%- set audit = existing(node.schema, node.alias) -%}
        {%- set live = existing("production", node.alias) -%}
        {%- if audit is not none and live is none -%}
            {%- do statements.append("delete from " ~ audit) -%}
        {%- elif audit is not none and same_columns(audit, live) -%}
            {%- do statements.extend(move_slice(node, live, audit)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query((statements + ["commit"]) | join(";\n")) -%}
{% endmacro %}


{# The marts of a layer, or all. #}
{% macro marts(layer=none) %}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() | sort(attribute="name")
        if node.resource_type == "model" and "marts" in node.fqn
        and (layer is none or layer in node.tags) -%}
        {%- do found.append(node) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}


{% macro existing(schema, identifier) %}
    {{ return(adapter.get_relation(target.database, schema, identifier)) }}
{% endmacro %}


{% macro same_columns(one, other) %}
    {%- set signatures = [] -%}
    {%- for relation in (one, other) -%}
        {%- set signature = [] -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do signature.append(column.name ~ " " ~ column.data_type) -%}
        {%- endfor -%}
        {%- do signatures.append(signature) -%}
    {%- endfor -%}
    {{ return(signatures[0] == signatures[1]) }}
{% endmacro %}


{#
    Statements that copy a table into production under a temporary name, with checks, comments and,
    after the rows, keys, indexes, statistics and grants. Readers use the old table meanwhile.
#}
{% macro copy_beside(node, source) %}
    {%- set name = beside(node) -%}
    {%- set comment = node.description | trim | replace("'", "''") -%}
    {%- set statements = [
        "drop table if exists " ~ name,
        "create table " ~ name ~ " (like " ~ source ~ " including all excluding indexes)",
        "comment on table " ~ name ~ " is '" ~ comment ~ "'",
        "insert into " ~ name ~ " select * from " ~ source,
        "alter table " ~ name ~ " add primary key (" ~ key_of(node) ~ ")",
    ] -%}
    {%- for index in node.config.indexes -%}
        {%- do statements.append(
            "create index on " ~ name ~ " (" ~ index.columns | join(", ") ~ ")"
        ) -%}
    {%- endfor -%}
    {{ return(statements + [
        "analyze " ~ name,
        "grant select on " ~ name ~ " to " ~ adapter.quote(var("reader")),
    ]) }}
{% endmacro %}


{# Statements that replace the table by the copy of `copy_beside`. #}
{% macro swap_in(node) %}
    {{ return([
        "drop table if exists production." ~ adapter.quote(node.alias),
        "alter table " ~ beside(node) ~ " rename to " ~ adapter.quote(node.alias),
    ]) }}
{% endmacro %}


{% macro beside(node) %}
    {{ return("production." ~ adapter.quote(node.alias ~ "__whole")) }}
{% endmacro %}


{% macro key_of(node) %}
    {{ return(
        node.constraints | selectattr("type", "equalto", "primary_key")
        | map(attribute="columns") | first | join(", ")
    ) }}
{% endmacro %}


{# Statements that replace the slice of `target` that a build wrote by that of `source`. #}
{% macro move_slice(node, source, target) %}
    {%- if node.config.incremental_strategy == "replace_where" -%}
        {{ return(replace_slice(node, source, target)) }}
    {%- elif node.config.incremental_strategy == "replace_changed" -%}
        {{ return(replace_changed(node, source, target)) }}
    {%- else -%}
        {{ return(replace_recent(node, source, target)) }}
    {%- endif -%}
{% endmacro %}


{# For a mart with dbt's delete+insert: its keys since the newest row of `target`. #}
{% macro replace_recent(node, source, target) %}
    {%- set columns = node.columns.keys() | join(", ") -%}
    {%- set key = node.config.unique_key -%}
    {%- set newest = run_query(
        "select max(" ~ node.config.event_time ~ ") - interval '1 day' from " ~ target
    ).columns[0].values()[0] -%}
    {%- set since = (
        "cast('" ~ newest.isoformat() ~ "' as timestamp with time zone)"
        if newest else beginning_of_time()
    ) -%}
    {%- set slice = (
        " where " ~ key ~ " in (select " ~ key ~ " from " ~ source ~ " where "
        ~ node.config.event_time ~ " >= " ~ since ~ ")"
    ) -%}
    {{ return([
        "delete from " ~ target ~ slice,
        "insert into " ~ target ~ " (" ~ columns ~ ") select " ~ columns ~ " from " ~ source
        ~ slice,
    ]) }}
{% endmacro %}
