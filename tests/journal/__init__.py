"""Journal tests."""
