"""The tables on disk: connections, migrations, writing and reading."""
