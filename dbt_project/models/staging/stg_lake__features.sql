select * from {{ source('staging', 'features') }}
