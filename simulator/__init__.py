"""A seeded world of payments: honest behaviour, fraud with ground truth, labels and dirty rows."""
