"""Tidy tests."""
