"""Estimates against known truth: seeded, each with its stated error rate."""
