select
    customer_id,
    source_system,
    country,
    region,
    home_lat,
    home_lon,
    first_event_at,
    last_event_at
from {{ source('staging', 'customers') }}
