"""The platform on one machine without containers: services, supervisor, jars, set-up."""
