"""What is inside a network of ours: its filters, features and likings, as pictures and tables."""
