select * from {{ source('staging', 'scores') }}
