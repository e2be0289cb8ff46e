"""Kernels benchmarks."""
