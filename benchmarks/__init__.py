"""Benchmarks; benchmarks/README.md lists them and their baselines."""
