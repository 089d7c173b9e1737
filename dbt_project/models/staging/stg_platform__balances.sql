select * from {{ source('staging', 'run_balances') }}
