"""What the networks of the zoo see: receptive fields by layer, tables and pictures of them."""
