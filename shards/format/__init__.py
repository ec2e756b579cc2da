"""The shard format: everything that decides the bytes of a shard."""
