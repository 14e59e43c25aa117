"""The commands, one per file with one public function of the file's name.

A function's docstring is the command's help, its parameters are the command's options, and their
types (`options`) refuse what cannot be. `ablax.__main__` imports a file only when its command is
given, and the functions import what they compute with when they are called.
"""
