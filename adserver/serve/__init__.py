"""HTTP: one request, top to bottom."""
