"""What any process needs (logs, standard error, signals, memory): imports nothing else of this package."""
