"""The commands, one a file: `arguments` says what a command takes, `run` does it.

`ablax.cli` names them and imports a file only when its command is given.
"""
