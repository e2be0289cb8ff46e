"""Player tests."""
