"""Verification of shard folders."""
