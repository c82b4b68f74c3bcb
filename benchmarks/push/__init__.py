"""Benchmarks of the push."""
