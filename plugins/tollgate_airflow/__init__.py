"""Between Airflow and the jobs: windows, run ids, connections, hand-over, failures.

A DAG file imports `wiring` at the top, which is light, and everything else inside its tasks.
"""
