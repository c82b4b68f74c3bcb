"""One cycle: read, load, plan, judge, confirm, apply, report."""
