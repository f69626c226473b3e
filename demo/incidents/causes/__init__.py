"""Programs that are the cause of an incident for as long as they run."""
