{# Every row of the build has a row in `to` with the same `columns`. #}
{% test refers_to(model, to, columns, to_columns, slice_column="event_date") %}
select from_model.*
from {{ model }} as from_model
where
    {{ in_window("from_model." ~ slice_column, "from_model.source_system") }}
    {%- for column in columns %}
    and from_model.{{ column }} is not null
    {%- endfor %}
    and not exists (
        select 1
        from {{ to }} as to_model
        where
            true
            {%- for column in columns %}
            and to_model.{{ to_columns[loop.index0] }}
            = from_model.{{ column }}
            {%- endfor %}
    )
{% endtest %}
