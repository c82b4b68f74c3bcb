"""One module for each noun: what is read for its pages, and what its forms do."""
