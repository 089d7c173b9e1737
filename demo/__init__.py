"""The demo: run the sample through all stages with Airflow, and print the results."""
