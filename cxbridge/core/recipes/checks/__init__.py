"""The parts of `check`, one per part of a recipe file; each notes what is wrong and compiles what holds.

draft         what all of them share           premises   roles, inputs, maps, stage
expressions   paths, calls and constants       triggers   what starts a recipe, and what is judged first
steps         verbs and their inputs           links      relations, sync, follow
cases         the tests in the file
"""
