"""What the doctor examines, and the remedy for what it finds."""
