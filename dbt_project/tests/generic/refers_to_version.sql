{# Every row of the build with a party refers to the one version that was in force at its time. #}
{% test refers_to_version(model, to, key, version) %}
select from_model.*
from {{ model }} as from_model
where
    {{ in_window_or_renewed("from_model.event_date", "from_model.source_system") }}
    and from_model.{{ key }} is not null
    and not exists (
        select 1
        from {{ to }} as to_model
        where
            to_model.source_system = from_model.source_system
            and to_model.{{ key }} = from_model.{{ key }}
            and to_model.valid_from = from_model.{{ version }}
            and to_model.valid_from <= from_model.event_at
            and to_model.valid_to > from_model.event_at
    )
{% endtest %}
