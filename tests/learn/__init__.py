"""Learn tests."""
