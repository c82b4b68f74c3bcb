"""Benchmarks of on-demand provisioning."""
