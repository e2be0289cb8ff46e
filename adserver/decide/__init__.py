"""The decision core: a pure function over a snapshot."""
