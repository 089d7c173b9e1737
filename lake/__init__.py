"""The Iceberg lake: catalog, object store, and reads of tables."""
