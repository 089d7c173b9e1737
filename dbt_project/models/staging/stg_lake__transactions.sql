select * from {{ source('staging', 'transactions') }}
{{ of_developer_dates() }}
