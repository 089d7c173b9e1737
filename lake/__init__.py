"""The Iceberg lake: its catalog, its object store, and what is read of its tables."""
