select
    counterparty_id,
    source_system,
    counterparty_type,
    merchant_category,
    first_event_at,
    last_event_at
from {{ source('staging', 'merchants') }}
