"""The console's pages: server time as a company grows, what a browser loads, and open streams."""
