"""What people read in a browser: the state of ensembles and trees in words, on pages that update themselves."""
