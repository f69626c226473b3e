"""Makes what is injected into pods: a folder of pure Python, and an OCI image of it."""
