"""Paths benchmarks."""
