select * from {{ source('staging', 'scores') }}
{{ of_developer_dates() }}
