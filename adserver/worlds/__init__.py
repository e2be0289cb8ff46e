"""Worlds to decide in: the demo data and seeded synthetic ones."""
