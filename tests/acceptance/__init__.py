"""Real processes on one machine: simulator, server and worker, driven as their users would."""
