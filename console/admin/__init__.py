"""Use cases: one function for each deed of a person, whichever face calls it."""
