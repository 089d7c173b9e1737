select
    event_id,
    source_system,
    event_date,
    is_fraud,
    scenario,
    label_source,
    known_at,
    raw_object
from {{ source('staging', 'labels') }}
{{ of_developer_dates() }}
