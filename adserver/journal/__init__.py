"""Log of decisions and events: written off the hot path, read back whole."""
