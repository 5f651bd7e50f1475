"""The three verbs and what keeps them going: pull, plan, push, sweeps, jobs and the bridge that puts them together.

What belongs here knows streams, recipes and deliveries; vendors, SQL and the command line it never knows. `pull`, `plan` and
`push` never import each other: they meet in the store.
"""
