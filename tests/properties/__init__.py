"""The properties of the push by as many random examples as one wants."""
