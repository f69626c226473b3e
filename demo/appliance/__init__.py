"""The protected appliance that the security agent watches and configures."""
