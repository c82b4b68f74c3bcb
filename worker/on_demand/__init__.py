"""One user or group at once, in five explained steps."""
