select * from {{ source('staging', 'transactions') }}
