"""The pages that Tollgate adds to Airflow's web server, for logged-in users only."""
