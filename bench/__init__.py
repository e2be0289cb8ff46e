"""Benchmarks; README.md says how to read the numbers."""
