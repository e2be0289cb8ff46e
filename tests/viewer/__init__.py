"""Viewer tests."""
