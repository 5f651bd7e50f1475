"""Faithful, stateful simulators of vendors as HTTP services on loopback, for demos, tests and learning.

What belongs here: one package per vendor that answers as that vendor documents it, faults by name, a clock that can be
moved, a journal of what really happened, and a control API that plays customers and agents.

What never does: connector code, or anything from `cxbridge.plugins`. A simulator that shared code with the connector it
checks would share its mistakes too.

    with Sandbox() as sandbox:                      # cxbridge.sandbox.server
        seed.load_company(sandbox.world)            # cxbridge.sandbox.seed
        ... point a connection at sandbox.zendesk_url ...
        sandbox.world.journal.writes()              # the independent evidence
"""
