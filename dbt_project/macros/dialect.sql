{# Expressions that differ between Postgres and Snowflake; models do not depend on the dialect. #}

{# An amount in the type of all amounts, which contracts/ declares. #}
{% macro as_money(amount) -%}
    ({{ amount }})::numeric(20, 4)
{%- endmacro %}


{# The UTC date of an instant. #}
{% macro utc_date(instant) -%}
    {{ return(adapter.dispatch("utc_date", "tollgate")(instant)) }}
{%- endmacro %}

{% macro postgres__utc_date(instant) -%}
    ({{ instant }} at time zone 'UTC')::date
{%- endmacro %}


{# The business date of an instant: its day in the zone of the source that is built. #}
{% macro business_date(instant) -%}
    {{ return(adapter.dispatch("business_date", "tollgate")(instant)) }}
{%- endmacro %}

{% macro postgres__business_date(instant) -%}
    ({{ instant }} at time zone '{{ var("zone", "UTC") }}')::date
{%- endmacro %}


{# The UTC hour of an instant, 0 to 23. #}
{% macro utc_hour(instant) -%}
    {{ return(adapter.dispatch("utc_hour", "tollgate")(instant)) }}
{%- endmacro %}

{% macro postgres__utc_hour(instant) -%}
    extract(hour from {{ instant }} at time zone 'UTC')::integer
{%- endmacro %}


{# A date some days later, or earlier if negative; `days` may be an expression. #}
{% macro add_days(date, days) -%}
    {{ return(adapter.dispatch("add_days", "tollgate")(date, days)) }}
{%- endmacro %}

{% macro postgres__add_days(date, days) -%}
    ({{ date }} + ({{ days }})::integer)
{%- endmacro %}


{# Whole days from one date to a later one. #}
{% macro days_between(later, earlier) -%}
    {{ return(adapter.dispatch("days_between", "tollgate")(later, earlier)) }}
{%- endmacro %}

{% macro postgres__days_between(later, earlier) -%}
    ({{ later }} - {{ earlier }})
{%- endmacro %}


{# The date with which a text ends, as 2024-05-01; null when it ends with none. #}
{% macro date_at_end(text) -%}
    {{ return(adapter.dispatch("date_at_end", "tollgate")(text)) }}
{%- endmacro %}

{% macro postgres__date_at_end(text) -%}
    case
        when
            right({{ text }}, 10) like '____-__-__'
            and pg_input_is_valid(right({{ text }}, 10), 'date')
            then right({{ text }}, 10)::date
    end
{%- endmacro %}


{# The first entry of an array, null when it has none. #}
{% macro first_of(array) -%}
    {{ return(adapter.dispatch("first_of", "tollgate")(array)) }}
{%- endmacro %}

{% macro postgres__first_of(array) -%}
    ({{ array }})[1]
{%- endmacro %}


{# An array of texts without an entry. #}
{% macro no_texts() -%}
    {{ return(adapter.dispatch("no_texts", "tollgate")()) }}
{%- endmacro %}

{% macro postgres__no_texts() -%}
    array[]::text[]
{%- endmacro %}


{# An instant after all others. #}
{% macro end_of_time() -%}
    {{ return(adapter.dispatch("end_of_time", "tollgate")()) }}
{%- endmacro %}

{% macro postgres__end_of_time() -%}
    timestamptz 'infinity'
{%- endmacro %}


{# An instant before all others. #}
{% macro beginning_of_time() -%}
    {{ return(adapter.dispatch("beginning_of_time", "tollgate")()) }}
{%- endmacro %}

{% macro postgres__beginning_of_time() -%}
    timestamptz '-infinity'
{%- endmacro %}


{# The ISO week of a date, from 1. #}
{% macro iso_week(date) -%}
    {{ return(adapter.dispatch("iso_week", "tollgate")(date)) }}
{%- endmacro %}

{% macro postgres__iso_week(date) -%}
    extract(week from {{ date }})
{%- endmacro %}


{# The day of the week of a date, from 1 on Mondays. #}
{% macro iso_weekday(date) -%}
    {{ return(adapter.dispatch("iso_weekday", "tollgate")(date)) }}
{%- endmacro %}

{% macro postgres__iso_weekday(date) -%}
    extract(isodow from {{ date }})
{%- endmacro %}


{# A relation to join: the column `number`, from 0 to `last` at least. #}
{% macro numbers(alias, last) -%}
    {{ return(adapter.dispatch("numbers", "tollgate")(alias, last)) }}
{%- endmacro %}

{% macro postgres__numbers(alias, last) -%}
    generate_series(0, {{ last }}) as {{ alias }} (number)
{%- endmacro %}


{# The first row of each group of a relation, as dbt_utils has it. #}
{% macro deduplicate(relation, partition_by, order_by) -%}
    {{ return(adapter.dispatch("deduplicate", "tollgate")(relation, partition_by, order_by)) }}
{%- endmacro %}

{# By row_number() Postgres would expect hardly any row, and join them in a loop. #}
{% macro postgres__deduplicate(relation, partition_by, order_by) -%}
    select distinct on ({{ partition_by }}) *
    from {{ relation }}
    order by {{ partition_by }}, {{ order_by }}
{%- endmacro %}


{# A double as an exact number: sums of these do not depend on the order of the rows. #}
{% macro exact(value) -%}
    cast({{ value }} as numeric(38, 15))
{%- endmacro %}
