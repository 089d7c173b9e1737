select * from {{ source('staging', 'run_ledger') }}
