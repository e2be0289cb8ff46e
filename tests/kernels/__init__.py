"""Kernels tests."""
