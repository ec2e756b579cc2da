"""Who may ask: hosts, origins, keys and rates."""
