"""What a network costs and sees, for any JAX function; imports nothing of ours."""
