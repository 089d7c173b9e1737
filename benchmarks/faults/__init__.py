"""Faults that a delivery, a job or a copy can have, as pure functions: what the gates must stop."""
