select
    run_id,
    stage,
    window_key,
    started_by,
    started_at,
    finished_at,
    duration_seconds,
    dates_touched,
    details
from {{ source('staging', 'run_ledger') }}
