"""The ledger, and how fast budgets are spent."""
