"""What a network costs, sees and hides, for any JAX function; imports nothing of ours."""
