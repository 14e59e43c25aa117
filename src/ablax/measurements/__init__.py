"""What experiments measure beside the test error: each a function of a network and its images."""
