"""Benchmarks of worker processes."""
