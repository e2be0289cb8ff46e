"""Clock, entropy, shared counters: the world behind small interfaces."""
