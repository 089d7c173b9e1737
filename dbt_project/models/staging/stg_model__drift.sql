select * from {{ source('staging', 'feature_drift') }}
