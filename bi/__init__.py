"""What analysts see: the dashboards of Superset and the Power BI project, both as files."""
