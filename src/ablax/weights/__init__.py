"""Weights of other libraries: their files, names, layouts, and preparation of images."""
