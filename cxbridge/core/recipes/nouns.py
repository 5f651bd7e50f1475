"""What recipes call entities and verbs, and who belongs to whom; words only, knows no recipe and no store."""

from collections.abc import Mapping
from typing import NamedTuple

# What a recipe calls an entity → its canonical kind. A tracker's ticket is called an issue so that both can be spoken of at once.
NOUNS: Mapping[str, str] = {
    "ticket": "ticket",
    "issue": "ticket",
    "incident": "ticket",
    "problem": "ticket",
    "request": "ticket",
    "comment": "comment",
    "account": "account",
    "contact": "contact",
    "agent": "agent",
    "feedback": "feedback",
    "survey": "survey",
    "invitation": "invitation",
    "health": "health",
    "task": "task",
    "touchpoint": "touchpoint",
    "message": "message",
    "article": "article",
}
# What verbs are named after → the kind of entity they write: nouns, and two words that only verbs use.
VERB_KINDS: Mapping[str, str] = {**NOUNS, "timeline": "touchpoint", "response": "feedback"}
_SEVERAL: Mapping[str, str] = {"feedback": "pieces of feedback", "health": "health scores"}


def several(noun: str) -> str:
    """Say a noun for several of them."""
    return _SEVERAL.get(noun, f"{noun}s")


class Belonging(NamedTuple):
    """Who belongs to a subject: the field that holds the ref, and the kind it leads to.

    The field is the subject's own, or that of `of`, another one who belongs to it. Where it is empty, the same field of
    `otherwise` is looked at.
    """

    field: str
    kind: str
    of: str = ""
    otherwise: str = ""


_ACCOUNT = Belonging("account", "account")
# Whoever answers for the account: looked up only when a recipe asks.
_OWNER = Belonging("owner_csm", "agent", of="account")
# By kind: name in scope → where it is found.
BELONGINGS: Mapping[str, Mapping[str, Belonging]] = {
    "ticket": {
        "account": _ACCOUNT,
        "contact": Belonging("requester", "contact"),
        "assignee": Belonging("assignee", "agent"),
        "owner": _OWNER,
    },
    "comment": {"author": Belonging("author", "contact"), "ticket": Belonging("ticket", "ticket")},
    "account": {"owner": Belonging("owner_csm", "agent")},
    "contact": {"account": _ACCOUNT, "owner": _OWNER},
    "feedback": {
        "account": Belonging("account", "account", otherwise="contact"),
        "contact": Belonging("contact", "contact"),
        "ticket": Belonging("ticket", "ticket"),
        "agent": Belonging("agent", "agent"),
        "owner": _OWNER,
    },
    "invitation": {
        "contact": Belonging("contact", "contact"),
        "account": Belonging("account", "account", of="contact"),
        "survey": Belonging("survey", "survey"),
    },
    "health": {"account": _ACCOUNT, "owner": _OWNER},
    "task": {"account": _ACCOUNT, "owner": Belonging("owner", "agent")},
    "touchpoint": {"account": _ACCOUNT, "author": Belonging("author", "agent"), "owner": _OWNER},
}
# Every name under which something may belong to a record, as `its(record, name)` takes it.
BELONGING_NAMES: tuple[str, ...] = tuple(sorted({name for names in BELONGINGS.values() for name in names}))
