"""The vocabulary: requests, decisions, records, events; no behaviour that reads the world."""
