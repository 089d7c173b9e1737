select * from {{ source('staging', 'run_tasks') }}
