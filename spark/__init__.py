"""Spark on Iceberg: sessions, pure transformations and the jobs that use them."""
