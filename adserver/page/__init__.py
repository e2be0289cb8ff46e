"""The demo's page: a real player, the decision beside it, and the events as they arrive."""
