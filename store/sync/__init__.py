"""Worker state: cycles, held plans, drift reports, delta links, leases, digests."""
