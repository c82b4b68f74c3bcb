"""Access to the console: operators, links that open it, and its sessions."""
