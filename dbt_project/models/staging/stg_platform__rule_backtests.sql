select
    backtested_at,
    source_system,
    rule_code,
    currency,
    rules_version,
    first_event_date,
    last_event_date,
    transaction_count,
    labelled_count,
    known_fraud_count,
    known_fraud_amount,
    alert_count,
    alert_amount,
    true_positive_count,
    false_positive_count,
    saved_amount
from {{ source('staging', 'fraud_rule_backtests') }}
