"""Benchmarks of one cycle."""
