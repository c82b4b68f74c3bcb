"""What people keep in the vendor's app: write it, read it, export it, erase it."""
