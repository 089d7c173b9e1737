select
    raw_object,
    raw_position,
    source_system,
    event_id,
    window_key,
    reasons,
    rules,
    amount,
    currency,
    first_seen_at,
    redrive_count,
    redrive_run_id,
    delivered_date
from {{ source('staging', 'quarantine') }}
