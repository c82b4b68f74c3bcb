"""One run per connection: leases, who waits for one, which workers live."""
