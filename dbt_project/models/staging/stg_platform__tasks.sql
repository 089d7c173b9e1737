select
    run_id,
    stage,
    window_key,
    task_name,
    attempt_number,
    task_outcome,
    started_at,
    finished_at,
    duration_seconds,
    cpu_seconds,
    peak_memory_mib,
    bytes_read,
    bytes_written,
    spark_cpu_seconds,
    spark_peak_memory_mib
from {{ source('staging', 'run_tasks') }}
