"""What the edge costs: consent strings, the worst there can be and the usual."""
