"""Pictures of what the layers do, drawn by the layers themselves: `python -m ablax.draw_layers`."""
