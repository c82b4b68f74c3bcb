"""What happened: provisioning log, audit log and events, and how long each is kept."""
