"""Pure translation between bytes and the vocabulary."""
