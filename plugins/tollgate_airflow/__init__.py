"""The code between Airflow and the jobs: windows, run ids, connections, ledger, failures.

A DAG file imports the small module `wiring` at the top, and all other modules inside its tasks.
"""
