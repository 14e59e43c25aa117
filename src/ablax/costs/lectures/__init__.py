"""The tables of networks that the lectures print, each beside ours; one network a file."""
