"""Jobs: load, transform, check, publish. Only they touch storage."""
