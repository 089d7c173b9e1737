select
    event_id,
    source_system,
    event_date,
    model_name,
    model_version,
    feature_list_version,
    feature_snapshot_id,
    score,
    risk_level,
    decision,
    reason_codes,
    scored_at,
    run_id,
    reason_sentences
from {{ source('staging', 'scores') }}
{{ of_developer_dates() }}
