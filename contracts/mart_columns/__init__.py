"""Columns that only PRODUCTION has, a module a folder of `dbt_project/models/marts`."""
