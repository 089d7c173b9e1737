select * from {{ source('staging', 'labels') }}
