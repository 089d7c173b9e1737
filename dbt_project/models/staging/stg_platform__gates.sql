select * from {{ source('staging', 'gate_results') }}
