"""The two jobs that DAGs, tests and the demo call: train and score."""
