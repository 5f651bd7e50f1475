"""What an administrator set up on the site: people, projects, types, workflow, priorities; it holds no issue."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from zoneinfo import ZoneInfo

from cxbridge.sandbox.jira.options import JiraOptions

CLOUD_ID: Final = "5f0c1e2a-7d34-4b8e-9a61-c2b7d8e4f913"


@dataclass(frozen=True, slots=True)
class User:
    account_id: str
    name: str
    email: str
    time_zone: str = "Europe/Warsaw"
    account_type: str = "atlassian"
    active: bool = True
    email_visible: bool = False
    admin: bool = False
    handle: str = ""  # what the control API calls this person; never on the wire

    @property
    def label(self) -> str:
        """How the journal names this person."""
        return self.email or self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True)
class StatusCategory:
    """Ids and keys as real sites answer them; the published examples (`in-flight`, `completed`) do not occur."""

    id: int
    key: str
    name: str
    colour: str
    enum: str  # how `/statuses/search` spells it


NEW: Final = StatusCategory(2, "new", "To Do", "blue-gray", "TODO")
INDETERMINATE: Final = StatusCategory(4, "indeterminate", "In Progress", "yellow", "IN_PROGRESS")
DONE: Final = StatusCategory(3, "done", "Done", "green", "DONE")
UNDEFINED: Final = StatusCategory(1, "undefined", "No Category", "medium-gray", "TODO")  # id 1 is unverified
CATEGORIES: Final = (UNDEFINED, NEW, INDETERMINATE, DONE)


@dataclass(frozen=True, slots=True)
class Status:
    id: str
    name: str
    category: StatusCategory
    step: str  # the workflow step, whatever the name shown


@dataclass(frozen=True, slots=True)
class Transition:
    id: str
    name: str
    source: str
    target: str
    has_screen: bool = False


@dataclass(frozen=True, slots=True)
class Priority:
    id: str
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Resolution:
    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class IssueType:
    id: str
    name: str
    level: int = 0

    @property
    def subtask(self) -> bool:
        return self.level < 0


@dataclass(frozen=True, slots=True)
class Named:
    """A component or a version of a project."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    id: str
    key: str
    name: str
    kind: str
    type_ids: tuple[str, ...]
    lead: str
    components: tuple[Named, ...] = ()
    versions: tuple[Named, ...] = ()
    desk_id: str | None = None


@dataclass(frozen=True, slots=True)
class LinkType:
    id: str
    name: str
    inward: str
    outward: str


@dataclass(frozen=True, slots=True)
class Organization:
    id: str
    uuid: str
    name: str
    members: tuple[str, ...] = ()


STEPS: Final = ("To Do", "In Progress", "In Review", "Done")
TRANSITIONS: Final = (
    Transition("11", "Start progress", "To Do", "In Progress"),
    Transition("21", "Send to review", "In Progress", "In Review"),
    Transition("31", "Done", "In Review", "Done", has_screen=True),
    Transition("41", "Reopen", "Done", "To Do"),
)

BOT: Final = User(
    "712020:3c6e0b8a-9c15-4f24-8a2f-6b1d0e7c5a10", "cxbridge", "bridge@example.test", "Europe/Warsaw", handle="bridge"
)
_PEOPLE: Final = (
    User(
        "712020:7bf4a1c2-0d3e-4b5f-9a86-1c2d3e4f5a6b",
        "Ana Kowalska",
        "ana@example.test",
        email_visible=True,
        admin=True,
        handle="ana",
    ),
    User("5b10ac8d82e05b22cc7d4ef5", "Ben Adeyemi", "ben@example.test", "Europe/London", handle="ben"),
    User(
        "712020:e19d2f60-44ab-4c1d-8e53-90ab12cd34ef",
        "Chen Li",
        "chen@example.test",
        "Asia/Shanghai",
        email_visible=True,
        handle="chen",
    ),
    User(
        "712020:08aa77bb-66cc-4d5e-9f00-11aa22bb33cc",
        "Otto Former",
        "otto@example.test",
        active=False,
        handle="otto",
    ),
    User(
        "557058:f58131cb-b67d-43c7-b30d-6b58d40bd077",
        "Automation for Jira",
        "",
        "Etc/UTC",
        account_type="app",
        handle="automation",
    ),
    User(
        "qm:0f0c2d1e-5a6b-4c7d-8e9f-a0b1c2d3e4f5:1a2b3c4d-0000-4111-8222-333344445555",
        "Mia Lee",
        "mia@globex.example",
        account_type="customer",
        handle="mia",
    ),
)


@dataclass(frozen=True)
class Site:
    """The set-up of one site. Lookups by name ignore case, as the vendor's do."""

    title: str = "cxbridge sandbox"
    cloud_id: str = CLOUD_ID
    users: Mapping[str, User] = field(default_factory=dict)
    statuses: tuple[Status, ...] = ()
    priorities: tuple[Priority, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    types: tuple[IssueType, ...] = ()
    projects: tuple[Project, ...] = ()
    link_types: tuple[LinkType, ...] = ()
    organizations: tuple[Organization, ...] = ()

    def with_users(self, users: Mapping[str, User]) -> "Site":
        """The same site with these people; a mapping that grows shows its newcomers."""
        return replace(self, users=users)

    def user(self, account_id: object) -> User | None:
        return self.users.get(account_id) if isinstance(account_id, str) else None

    def person(self, who: str) -> User | None:
        """The user meant by a handle, an account id, an e-mail address or a display name."""
        if who in self.users:
            return self.users[who]
        wanted = who.casefold()
        for user in self.users.values():
            if wanted in (user.handle.casefold(), user.email.casefold(), user.name.casefold()):
                return user
        return None

    def status(self, status_id: str) -> Status:
        return next(status for status in self.statuses if status.id == status_id)

    def step(self, step: str) -> Status:
        return next(status for status in self.statuses if status.step == step)

    def project(self, id_or_key: object) -> Project | None:
        wanted = str(id_or_key).upper()
        return next((project for project in self.projects if wanted in (project.id, project.key)), None)

    def type(self, type_id: str) -> IssueType:
        return next(kind for kind in self.types if kind.id == type_id)

    def priority(self, priority_id: str) -> Priority:
        return next(priority for priority in self.priorities if priority.id == priority_id)

    def resolution(self, resolution_id: str) -> Resolution:
        return next(resolution for resolution in self.resolutions if resolution.id == resolution_id)

    def transitions(self, status_id: str) -> list[Transition]:
        step = self.status(status_id).step
        return [transition for transition in TRANSITIONS if transition.source == step]


def default_site(options: JiraOptions) -> Site:
    """The site every sandbox starts with, bent by the options about its people and its statuses."""
    names = options.status_names
    bot = replace(BOT, email=options.user, time_zone=options.time_zone, admin=options.admin)
    categories = {"To Do": NEW, "In Progress": INDETERMINATE, "In Review": INDETERMINATE, "Done": DONE}
    ana = _PEOPLE[0].account_id
    return Site(
        users={user.account_id: user for user in (bot, *_PEOPLE)},
        statuses=tuple(
            Status(str(10000 + number), names.get(step, step), categories[step], step)
            for number, step in enumerate(STEPS)
        ),
        priorities=tuple(
            Priority(str(number), name, colour)
            for number, (name, colour) in enumerate(
                (
                    ("Highest", "#d04437"),
                    ("High", "#f15c75"),
                    ("Medium", "#f79232"),
                    ("Low", "#707070"),
                    ("Lowest", "#999999"),
                ),
                start=1,
            )
        ),
        resolutions=(
            Resolution("10000", "Fixed", "Work has been completed and shipped."),
            Resolution("10001", "Won't Do", "This will not be worked on."),
            Resolution("10002", "Duplicate", "The same problem is tracked elsewhere."),
            Resolution("10003", "Cannot Reproduce", "Every attempt to reproduce this failed."),
            Resolution("10004", "Workaround", "A way around exists; no change was made."),
            Resolution("10005", "Done", "Work has been completed."),
        ),
        types=(
            IssueType("10001", "Epic", 1),
            IssueType("10002", "Story"),
            IssueType("10003", "Task"),
            IssueType("10004", "Bug"),
            IssueType("10005", "Sub-task", -1),
            IssueType("10012", "[System] Incident"),
            IssueType("10013", "[System] Service request"),
            IssueType("10014", "[System] Problem"),
        ),
        projects=(
            Project(
                "10000",
                "ENG",
                "Engineering",
                "software",
                ("10001", "10002", "10003", "10004", "10005"),
                ana,
                components=(Named("10100", "Export"), Named("10101", "Billing"), Named("10102", "Sign-in")),
                versions=(Named("10200", "2026.4"), Named("10201", "2026.5")),
            ),
            Project(
                "10001",
                "OPS",
                "Operations",
                "service_desk",
                ("10003", "10012", "10013", "10014"),
                ana,
                desk_id="1",
            ),
        ),
        link_types=(
            LinkType("10000", "Blocks", "is blocked by", "blocks"),
            LinkType("10001", "Duplicate", "is duplicated by", "duplicates"),
            LinkType("10002", "Problem/Incident", "is caused by", "causes"),
            LinkType("10003", "Relates", "relates to", "relates to"),
        ),
        organizations=(
            Organization("1", "a1f0c2d4-1111-4222-8333-444455556666", "Globex", (_PEOPLE[-1].account_id,)),
            Organization("2", "b2e1d3c5-7777-4888-9999-aaaabbbbcccc", "Initech"),
        ),
    )
