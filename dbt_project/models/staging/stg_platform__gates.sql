select
    run_id,
    gate,
    window_key,
    check_name,
    table_name,
    column_name,
    severity,
    is_passed,
    observed,
    expected,
    check_reason,
    checked_at
from {{ source('staging', 'gate_results') }}
