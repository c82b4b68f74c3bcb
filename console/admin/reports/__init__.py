"""Use cases that read what happened: cycles, drift, the provisioning log."""
