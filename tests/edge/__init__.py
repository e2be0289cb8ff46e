"""Edge tests."""
