"""Worlds tests."""
