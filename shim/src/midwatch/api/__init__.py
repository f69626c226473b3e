"""The public API: what an application may call by hand. Import it from `midwatch`."""
