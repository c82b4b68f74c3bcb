"""From a plan to writes, and from writes to findings."""
