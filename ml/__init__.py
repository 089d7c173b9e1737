"""The fraud model: from a recorded snapshot of features to a registered model and its scores."""
