"""Data sets as arrays, random distortions as pure functions, and a stream for sets too large."""
