"""Trained weights: where they are, how files of other projects are read, how ours are written."""
