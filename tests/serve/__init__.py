"""Serve tests."""
