"""How telemetry leaves the process: sinks, rendering, accounting, set-up and flush."""
