"""Tests of adserver and its kernels; README.md says which kind goes where."""
