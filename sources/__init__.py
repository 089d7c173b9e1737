"""Source systems: one declaration each, and how a delivery of theirs lands in Raw."""
