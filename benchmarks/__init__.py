"""What is measured, against what: see benchmarks/README.md."""
