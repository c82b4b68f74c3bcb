"""Commands about access to the console."""
