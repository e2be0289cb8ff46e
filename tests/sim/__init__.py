"""Whole days of the whole server, by seed."""
