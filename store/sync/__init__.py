"""What cycles leave behind: cycles, held plans, drift reports, delta links, leases, digests."""
