"""Packs with the systems that they are for, which only `make soak` installs and starts."""
