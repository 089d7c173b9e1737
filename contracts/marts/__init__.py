"""Tables of PRODUCTION, one module for each folder of `dbt_project/models/marts`."""
