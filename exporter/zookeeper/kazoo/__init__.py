"""What is kazoo's own: the names that it keeps to itself, what it gets wrong, and what it is slow at."""
