"""From the lake to PRODUCTION: loader, run ledger, roles and the runs of dbt."""
