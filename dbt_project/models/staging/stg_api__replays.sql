select
    decided_date,
    source_system,
    replay_outcome,
    decision_count,
    replayed_at,
    run_id
from {{ source('staging', 'decision_replays') }}
