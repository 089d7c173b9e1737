"""Columns that only PRODUCTION has, one module for each folder of `dbt_project/models/marts`."""
