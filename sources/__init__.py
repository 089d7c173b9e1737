"""Source systems: one declaration for each, and the landing of deliveries in Raw."""
