"""What promtool finds out about the rules: each case by itself, with the rules that it looks at."""
