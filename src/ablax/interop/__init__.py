"""Weights of other libraries, by the names they have there."""
