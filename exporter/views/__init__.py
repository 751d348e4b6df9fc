"""What follows from the contents of trees: patterns of paths, and views that a cache keeps up to date."""
