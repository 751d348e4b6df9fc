"""The pages for browsers: the state of ensembles and trees in words, updated live."""
