"""A whole directory in arrays: the same questions answered as from objects."""
