"""Catalogue, policy and model versions, and the columns compiled from them."""
