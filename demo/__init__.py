"""Run the sample through the whole line, through Airflow, and say what happened."""
