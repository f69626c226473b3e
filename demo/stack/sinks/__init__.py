"""Where pages go on one machine: servers that behave like Slack's webhook and a mail server."""
