"""Every boundary that a daemon's probe is told of while it escalates a ticket, and at which passings of it daemons are killed."""

PUSH = ("push.claimed", "push.sent", "push.answered", "push.recorded", "push.settled")
# As often as an escalation reaches it: four deliveries (the issue, the link on either side, the note).
BOUNDARIES: dict[str, tuple[int, ...]] = {
    **{f"pull.{name}": (1, 2, 4) for name in ("fetched", "stored", "committed")},
    "plan.decided": (1,),
    "plan.committed": (1,),
    **dict.fromkeys(PUSH, (1, 2, 3, 4)),
}
