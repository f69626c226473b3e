"""What the ledger does: decode, map, derive, write, answer."""
