"""One module a stage: what its tasks call, in order."""
