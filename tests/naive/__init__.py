"""Naive tests."""
