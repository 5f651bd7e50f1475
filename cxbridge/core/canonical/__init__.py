"""The vendor-free entities that connectors map to and recipes speak of; no vendor's word may appear here.

All are frozen msgspec structs, built by the thousand per second. Times are UTC datetimes. A field that a platform did not
fill is `None` (or empty); what it *cannot* fill, a stream names in its `gaps`, so that "not known" is never taken for "empty".

Refs inside an entity are local: `"<stream>/<key>"` of the same connection, e.g. `"users/46407218913169"`.
"""

from cxbridge.core.canonical.envelope import (
    PRIORITY_ORDER,
    Actor,
    Attachment,
    AuthorKind,
    Channel,
    DeletedHow,
    Entity,
    Priority,
    Resolution,
    Severity,
    StatusCategory,
    TicketType,
    Visibility,
    WaitingOn,
)
from cxbridge.core.canonical.people import Account, Agent, Contact, Lifecycle
from cxbridge.core.canonical.service import Article, Comment, Container, Ticket
from cxbridge.core.canonical.success import (
    Health,
    HealthBand,
    HealthPart,
    Message,
    Task,
    TaskKind,
    TaskStatus,
    Touchpoint,
)
from cxbridge.core.canonical.voice import Answer, Band, Feedback, FeedbackKind, Invitation, Sentiment, Survey

# The discriminator is called "entity" on the wire of our own store because Feedback has a `kind` of its own.
KINDS: dict[str, type[Entity]] = {
    "ticket": Ticket,
    "comment": Comment,
    "account": Account,
    "contact": Contact,
    "agent": Agent,
    "feedback": Feedback,
    "survey": Survey,
    "invitation": Invitation,
    "health": Health,
    "task": Task,
    "touchpoint": Touchpoint,
    "message": Message,
    "article": Article,
    "container": Container,
}
KIND_OF: dict[type[Entity], str] = {struct: kind for kind, struct in KINDS.items()}

AnyEntity = (
    Ticket
    | Comment
    | Account
    | Contact
    | Agent
    | Feedback
    | Survey
    | Invitation
    | Health
    | Task
    | Touchpoint
    | Message
    | Article
    | Container
)

__all__ = [
    # the envelope and shared words
    "PRIORITY_ORDER",
    "Actor",
    "Attachment",
    "AuthorKind",
    "Channel",
    "DeletedHow",
    "Entity",
    "Priority",
    "Resolution",
    "Severity",
    "StatusCategory",
    "TicketType",
    "Visibility",
    "WaitingOn",
    # people and companies
    "Account",
    "Agent",
    "Contact",
    "Lifecycle",
    # service
    "Article",
    "Comment",
    "Container",
    "Ticket",
    # customers' voice
    "Answer",
    "Band",
    "Feedback",
    "FeedbackKind",
    "Invitation",
    "Sentiment",
    "Survey",
    # success
    "Health",
    "HealthBand",
    "HealthPart",
    "Message",
    "Task",
    "TaskKind",
    "TaskStatus",
    "Touchpoint",
    # all of them
    "KINDS",
    "KIND_OF",
    "AnyEntity",
]
