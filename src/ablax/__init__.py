"""ablax: a laboratory for convolutional networks on JAX."""
