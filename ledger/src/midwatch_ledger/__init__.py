"""The ledger: what LLM agents did, kept and answerable."""
