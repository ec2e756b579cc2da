"""Reading shards: random access, cache, prefetch and the epoch plan."""
