"""Personalised preroll decision server."""
