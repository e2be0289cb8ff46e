"""What campaigns may spend, what they have spent, and how fast they should."""
