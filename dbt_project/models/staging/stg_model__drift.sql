select
    event_date,
    source_system,
    model_name,
    model_version,
    feature_name,
    transaction_count,
    stability_index,
    feature_mean,
    training_mean,
    null_share,
    training_null_share,
    run_id
from {{ source('staging', 'feature_drift') }}
{{ of_developer_dates() }}
