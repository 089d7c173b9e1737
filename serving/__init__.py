"""The decision API: the features, the champion and the rules of the batch line, for one payment."""
