"""Decide tests."""
