"""The embedded platform on one machine without containers: services, supervisor, jars, setup."""
