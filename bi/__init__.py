"""The Superset dashboards and the Power BI project, declared in Python and generated as files."""
