"""Pictures of cost against size in docs/performance.md: `make bench-plots`."""
