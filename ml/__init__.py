"""The fraud model: training on a feature snapshot, registration and scoring."""
