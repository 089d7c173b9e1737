select * from {{ source('staging', 'customers') }}
