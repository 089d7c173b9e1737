"""Pure transformations: no session, path, clock or settings inside."""
