select * from {{ source('staging', 'feature_drift') }}
{{ of_developer_dates() }}
