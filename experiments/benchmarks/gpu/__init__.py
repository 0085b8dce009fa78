"""`smartclip bench gpu`: everything that a GPU is for, in one command.

A part is one file here. Each runs in a process of its own and writes every row as soon as it has
it, so a crash or a cut loses one row. With `--pretend` every part runs on a CPU at toy size.
"""
