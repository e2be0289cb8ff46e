"""The adserver command, one file per command group."""
