"""Where the time of a step goes: a trace of the device joined with the cost of each layer."""
