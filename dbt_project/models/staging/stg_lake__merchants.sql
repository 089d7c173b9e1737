select * from {{ source('staging', 'merchants') }}
