"""Sessions: begin them by a proven sign-in, ask about them, list and end them."""
