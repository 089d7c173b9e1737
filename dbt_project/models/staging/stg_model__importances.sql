select * from {{ source('staging', 'feature_importances') }}
