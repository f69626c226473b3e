"""The console's templates and its style sheet: pages that are made here, without any script."""
