"""How states, names, times and evidence are worded and drawn: pure functions."""
