select * from {{ source('staging', 'labels') }}
{{ of_developer_dates() }}
