"""Tests to destruction: fuzzing, damage and kills."""
