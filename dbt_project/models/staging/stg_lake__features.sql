select * from {{ source('staging', 'features') }}
{{ of_developer_dates() }}
