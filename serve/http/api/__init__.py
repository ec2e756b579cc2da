"""What clients send and get: bodies, their schemas and examples."""
