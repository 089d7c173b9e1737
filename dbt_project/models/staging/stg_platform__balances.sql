select
    run_id,
    stage,
    window_key,
    source_system,
    currency,
    rows_in,
    rows_restated,
    rows_out,
    rows_quarantined,
    rows_duplicate,
    amount_in,
    amount_restated,
    amount_out,
    amount_quarantined,
    amount_duplicate
from {{ source('staging', 'run_balances') }}
