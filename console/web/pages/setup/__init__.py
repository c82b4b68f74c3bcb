"""Pages that set a connection up and look after it."""
