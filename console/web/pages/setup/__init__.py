"""Pages that set a connection up and look after it, and the ways into the console."""
