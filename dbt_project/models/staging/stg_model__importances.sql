select
    model_name,
    model_version,
    source_system,
    feature_name,
    importance
from {{ source('staging', 'feature_importances') }}
