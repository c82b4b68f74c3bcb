"""One run per connection: leases, local waiters, presence of workers."""
