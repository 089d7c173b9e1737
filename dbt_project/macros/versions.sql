{#
    Versions of parties, derived from their payments. A change point is a payment, the last of its
    instant, whose attributes differ from those of the payment before it. A build reads the payments
    of its own dates and the versions in the table. It reads later payments only of parties whose
    attributes at the end of these dates have changed. Why that is enough:
    docs/decisions/0015-versions-come-from-payments.md
#}

{# Before any payment: the first version of a party starts here, so that a payment that arrives
   late finds its party. #}
{% macro first_instant() -%}
    {{ midnight("1900-01-01") }}
{%- endmacro %}


{# After any payment: the version that is in force ends here. #}
{% macro last_instant() -%}
    {{ midnight("9999-12-31") }}
{%- endmacro %}


{# The relation in which a mart is built, none before that; for what a mart cannot `ref`, since it
   is built after it. #}
{% macro built(name) -%}
    {{ return(existing(generate_schema_name("production", none), name)) }}
{%- endmacro %}


{# The change points of each party; `payments` are those on the dates of the build. #}
{% macro change_points(payments, key, attributes) -%}
    {%- set columns = "source_system, " ~ key ~ ", " ~ attributes | join(", ") -%}
    {%- set fact = built("fct_transactions") if execute and is_incremental() -%}
    with observed as (
        select
            {{ columns }},
            event_at as changed_at,
            lead(event_at) over (
                partition by source_system, {{ key }}
                order by event_at, source_sequence, event_id
            ) as next_at
        from {{ payments }}
        where {{ key }} is not null
    ),

    last_observed as (
        select {{ columns }}, changed_at
        from observed
        where next_at is null or next_at > changed_at
    ),

    {% if fact -%}
    existing_versions as (
        select
            {{ columns }},
            changed_at,
            valid_to,
            {{ in_dates(business_date("changed_at")) }} as is_renewed
        from {{ this }}
        where {{ in_system() }}
    ),

    known as (
        select {{ columns }}, changed_at from last_observed
        union all
        select {{ columns }}, changed_at from existing_versions where not is_renewed
    ),

    {{ followers(fact, key, attributes) }}

    points as (
        select {{ columns }}, changed_at from known
        union
        select {{ columns }}, changed_at from followers
    ),
    {%- else -%}
    points as (
        select {{ columns }}, changed_at from last_observed
    ),
    {%- endif %}

    compared as (
        select
            {{ columns }},
            changed_at,
            {%- for column in ["changed_at"] + attributes %}
            lag({{ column }}) over (
                partition by source_system, {{ key }} order by changed_at
            ) as previous_{{ column }}{{ "," if not loop.last }}
            {%- endfor %}
        from points
    )

    select {{ columns }}, changed_at
    from compared
    where
        previous_changed_at is null
        {%- for attribute in attributes %}
        or {{ attribute }} is distinct from previous_{{ attribute }}
        {%- endfor %}
{%- endmacro %}


{# Each change point with the time in which its attributes are in force. #}
{% macro versions(points, key) -%}
    select
        {{ points }}.*,
        case
            when
                row_number() over (
                    partition by source_system, {{ key }} order by changed_at
                ) = 1
                then {{ first_instant() }}
            else changed_at
        end as valid_from,
        coalesce(
            lead(changed_at) over (
                partition by source_system, {{ key }} order by changed_at
            ),
            {{ last_instant() }}
        ) as valid_to
    from {{ points }}
{%- endmacro %}


{#
    CTEs that end in `followers`: the first payment after each range of the build's dates, for each
    party whose attributes at the end of the range differ from those in the table. No other payment
    can become a change point.
#}
{% macro followers(fact, key, attributes) -%}
    {%- set ranges = var("dates", none) or [] -%}
    {%- set party = ["source_system", key] -%}
    {%- set attributes = attributes | join(", ") -%}
    ranges as (
        {%- for days in ranges %}
        select
            date '{{ days[1] }}' as last_date,
            {{ midnight(days[1]) }} + interval '1 day' as ended_at
        {%- if not loop.last %}
        union all
        {%- endif %}
        {%- else %}
        select
            calendar.last_date,
            {{ first_instant() }} as ended_at
        from (select cast(null as date) as last_date) as calendar
        where calendar.last_date is not null
        {%- endfor %}
    ),

    affected as (
        select {{ party | join(", ") }} from last_observed
        union
        select {{ party | join(", ") }} from existing_versions where is_renewed
    ),

    past as (
        select {{ party | join(", ") }}, {{ attributes }}, changed_at, valid_to
        from existing_versions
    ),

    fresh as (
        select
            {{ party | join(", ") }},
            {{ attributes }},
            changed_at,
            coalesce(
                lead(changed_at) over (
                    partition by {{ party | join(", ") }} order by changed_at
                ),
                {{ last_instant() }}
            ) as valid_to
        from known
    ),

    {% for name in ("past", "fresh") -%}
    {{ name }}_ends as (
        select
            affected.source_system,
            affected.{{ key }},
            {{ attributes }},
            ranges.last_date
        from {{ name }}
        inner join affected
            on
                {{ name }}.source_system = affected.source_system
                and {{ name }}.{{ key }} = affected.{{ key }}
        inner join ranges
            on
                {{ name }}.changed_at < ranges.ended_at
                and {{ name }}.valid_to >= ranges.ended_at
    ),

    {% endfor -%}
    changed_parties as (
        select * from past_ends
        except
        select * from fresh_ends
    ),

    later as (
        select
            payments.source_system,
            payments.{{ key }},
            {%- for attribute in attributes.split(", ") %}
            payments.{{ attribute }},
            {%- endfor %}
            payments.event_at as changed_at,
            row_number() over (
                partition by
                    payments.source_system, payments.{{ key }}, changed_parties.last_date
                order by
                    payments.event_at asc,
                    payments.source_sequence desc,
                    payments.event_id desc
            ) as nth
        from {{ fact }} as payments
        inner join changed_parties
            on
                payments.source_system = changed_parties.source_system
                and payments.{{ key }} = changed_parties.{{ key }}
                and payments.event_date > changed_parties.last_date
        where
            {{ in_system("payments.source_system") }}
            {#- A literal, by which the index is searched. -#}
            {%- if ranges %}
            and payments.event_date > date '{{ ranges[0][1] }}'
            {%- endif %}
            and not {{ in_dates("payments.event_date") }}
    ),

    followers as (
        select {{ party | join(", ") }}, {{ attributes }}, changed_at
        from later
        where nth = 1
    ),
{%- endmacro %}


{#
    Dates outside the build's dates whose payments now have another version of a party than in
    PRODUCTION: the payments in the overlap of each old and new version of a party.
#}
{% macro renewed_dates() -%}
    {%- set fact = built("fct_transactions") -%}
    {%- set parties = [] -%}
    {%- for name, key in (
        ("dim_customers", "customer_id"), ("dim_merchants", "counterparty_id")
    ) -%}
        {%- set dimension = built(name) -%}
        {%- set shown = existing("production", name) -%}
        {%- if fact and dimension and shown and same_columns(dimension, shown) -%}
            {%- do parties.append((dimension, shown, key)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set dates = [] -%}
    {%- for dimension, shown, key in parties -%}
        {%- set moved = moved_versions(dimension, shown, key) -%}
        {%- set since = run_query(
            "select min(" ~ business_date("moved.since") ~ ") from (" ~ moved ~ ") as moved"
        ).columns[0].values()[0] -%}
        {%- if since is not none -%}
            {%- do dates.extend(run_query(
                "select distinct payments.event_date from " ~ fact ~ " as payments"
                ~ " inner join (" ~ moved ~ ") as moved"
                ~ " on payments." ~ key ~ " = moved." ~ key
                ~ " and payments.event_at >= moved.since"
                ~ " and payments.event_at < moved.until"
                ~ " where " ~ in_system("payments.source_system")
                ~ " and payments.event_date >= date '" ~ since ~ "'"
                ~ " and not " ~ in_dates("payments.event_date")
            ).columns[0].values()) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(dates | unique | sort | list) }}
{%- endmacro %}


{# When payments of a party of the source belonged to one version and now to another. #}
{% macro moved_versions(dimension, shown, key) -%}
    {%- set version = "select " ~ key ~ ", valid_from, valid_to from " -%}
    {%- set mine = " where " ~ in_system() -%}
    with gone as (
        {{ version ~ shown ~ mine }} except {{ version ~ dimension ~ mine }}
    ),

    come as (
        {{ version ~ dimension ~ mine }} except {{ version ~ shown ~ mine }}
    ),

    changed as (
        select {{ key }} from gone
        union
        select {{ key }} from come
    )

    select
        old.{{ key }},
        greatest(old.valid_from, new.valid_from) as since,
        least(old.valid_to, new.valid_to) as until
    from changed
    inner join {{ shown }} as old
        on changed.{{ key }} = old.{{ key }} and {{ in_system("old.source_system") }}
    inner join {{ dimension }} as new
        on
            changed.{{ key }} = new.{{ key }}
            and {{ in_system("new.source_system") }}
            and old.valid_from < new.valid_to
            and new.valid_from < old.valid_to
            and old.valid_from <> new.valid_from
{%- endmacro %}


{#
    The business dates of the window, and those on which the build gives payments another version of
    their customer or merchant.
#}
{% macro in_window_or_renewed(column, source="source_system") -%}
    ({{ in_system(source) }} and ({{ in_dates(column) }}
    {%- if execute and var("dates", none) is not none %} or {{ renewed(column) }}
    {%- endif -%}))
{%- endmacro %}


{# The latter alone. #}
{% macro renewed(column) -%}
    (
    {%- for day in (renewed_dates() if execute else []) -%}
        {{ column }} = date '{{ day }}' or {# -#}
    {%- endfor -%}
    false)
{%- endmacro %}
