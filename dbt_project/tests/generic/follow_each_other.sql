{# The versions of a party have no gap and no overlap, from the first instant to the last. #}
{% test follow_each_other(model, key) %}
with versions as (
    select
        source_system,
        {{ key }},
        valid_from,
        valid_to,
        is_current,
        lag(valid_to) over (
            partition by source_system, {{ key }} order by valid_from
        ) as previous_to,
        lead(valid_from) over (
            partition by source_system, {{ key }} order by valid_from
        ) as next_from
    from {{ model }}
    where {{ in_system() }}
)

select *
from versions
where
    valid_from <> coalesce(previous_to, {{ first_instant() }})
    or valid_to <> coalesce(next_from, {{ last_instant() }})
    or is_current <> (next_from is null)
{% endtest %}
