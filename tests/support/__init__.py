"""What several test modules share: small data, models, servers and processes."""
