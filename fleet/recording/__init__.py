"""What is noted about messages and tasks, and how it is folded."""
