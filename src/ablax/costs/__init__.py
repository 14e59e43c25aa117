"""What the networks of the zoo cost: tables, the lectures' tables beside ours, and pictures."""
