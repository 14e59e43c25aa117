"""The analyses for our networks: costs, receptive fields, pictures, profiles, the drawn page."""
