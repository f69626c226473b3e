"""What records by itself: one module for each instrumented library."""
