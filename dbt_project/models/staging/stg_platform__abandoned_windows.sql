select
    window_key,
    abandoned_at,
    abandoned_by,
    abandonment_reason,
    undone_at,
    undone_by
from {{ source('staging', 'abandoned_windows') }}
