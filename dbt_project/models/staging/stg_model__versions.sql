select * from {{ source('staging', 'model_versions') }}
