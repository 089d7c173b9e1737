"""The quality gates between the stores."""
