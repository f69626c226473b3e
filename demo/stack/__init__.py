"""The rendered chart, run as local processes."""
