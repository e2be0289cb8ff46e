"""Catalogue tests."""
