"""The worker against the simulator in this process, on both databases."""
