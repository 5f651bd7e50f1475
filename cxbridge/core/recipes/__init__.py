"""The recipe language: reading files, judging them, compiling them and evaluating them; pure, but for reading the files.

Nothing here knows a store, an engine or a vendor.
"""
