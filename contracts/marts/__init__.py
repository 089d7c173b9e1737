"""PRODUCTION, a module a folder of `dbt_project/models/marts`."""
