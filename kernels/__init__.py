"""Numba kernels of the decision; NumPy and numba only."""
