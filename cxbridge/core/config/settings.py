"""The sections of `cxbridge.toml` and what may stand in each; reads no file and no environment."""

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from cxbridge.core.config.times import CalendarSettings, WindowSettings
from cxbridge.core.config.times import Name as CalendarName

_INTERVAL = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHORTEST = timedelta(milliseconds=100)


def _interval(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = _INTERVAL.match(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError("write a time with its unit, in quotes: 500ms, 30s, 5m or 1h")
    return timedelta(seconds=float(found[1]) * _UNIT[found[2]])


def _turning(value: timedelta) -> timedelta:
    if value < _SHORTEST:
        raise ValueError("this must be at least 100ms")
    return value


def _kept(value: timedelta) -> timedelta:
    if value < timedelta(days=1):
        raise ValueError("this must be at least 1d: a vendor repeats a delivery for hours")
    return value


def _whole(value: Any) -> timedelta | None:
    if value is None or value == "forever":
        return None
    try:
        kept: timedelta = _interval(value)
    except ValueError as error:
        raise ValueError('write a time with its unit, in quotes, like 400d, or "forever"') from error
    if kept < timedelta(days=30):
        raise ValueError('this must be at least 30d, or "forever": conditions and people look back')
    return kept


def _patient(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(minutes=1):
        raise ValueError("this must be between 1s and 1m")
    return value


def _place(value: str) -> str:
    if value:
        host_and_port(value)
    return value


def _address(value: str) -> str:
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("write the address that vendors reach, like https://hooks.example.com")
    return value.rstrip("/")


def host_and_port(value: str) -> tuple[str, int]:
    """Read `host:port`; an IPv6 address stands in brackets.

    Raises:
        ValueError: it is something else.
    """
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or parts.netloc != value or parts.username is not None:
        raise ValueError("write host and port: 127.0.0.1:8700")
    return host, port


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


Interval = Annotated[timedelta, BeforeValidator(_interval)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Section):
    """Where the daemon remembers. `url` is `sqlite:///FILE` or `postgresql://…`; relative files stand beside cxbridge.toml.

    `keep_changes` is how long the log of changes is kept whole; of what is older each record keeps the last change. None
    stands for ever.
    """

    # It may hold a password, when it came from a secret or from the environment.
    url: str = Field(default="sqlite:///cxbridge.db", repr=False)
    key_file: str = "cxbridge.key"
    keep_changes: Annotated[timedelta | None, BeforeValidator(_whole)] = timedelta(days=400)


class DaemonSettings(_Section):
    """How often and how wide. `poll` is the shortest time between two pulls of a stream.

    `workers` is how many jobs run at once, or, where several workers share a store, how many connections one of them serves at
    once. `abreast` is how many writes to one connection are under way at once, never two to one entity.
    """

    poll: Annotated[Interval, AfterValidator(_turning)] = timedelta(seconds=60)
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    abreast: Annotated[int, Field(ge=1, le=16)] = 4
    drain: Interval = timedelta(seconds=25)


class WebhookSettings(_Section):
    """Where vendors' webhooks come in: nothing listens while `listen` is empty.

    A listener that others can reach is refused unless `public` says that a proxy with TLS stands in front. `url` is the address
    that vendors see, for printing. `keep` is how long the ids of events are remembered, `patience` how long a sender may take.
    """

    listen: Annotated[str, AfterValidator(_place)] = ""
    public: bool = False
    url: Annotated[str, AfterValidator(_address)] = ""
    keep: Annotated[Interval, AfterValidator(_kept)] = timedelta(days=30)
    patience: Annotated[Interval, AfterValidator(_patient)] = timedelta(seconds=10)

    @model_validator(mode="after")
    def _reached(self) -> Self:
        if self.listen and not self.public and not _here(host_and_port(self.listen)[0]):
            raise ValueError(
                f"{self.listen} can be reached from other machines, and this listener speaks no TLS: listen on 127.0.0.1, "
                "or set public = true once a TLS proxy stands in front"
            )
        return self


class ContactSettings(_Section):
    """How customers are spared: for `quarantine` after any ask nobody is asked again, whichever recipe would."""

    quarantine: Interval = timedelta(days=90)


class PluginSettings(_Section):
    """Which installed plugins, beside the shipped connectors, may run."""

    enable: list[str] = []


class SecretSettings(_Section):
    """Where secret files are: one file per secret, named as the reference."""

    dir: str = "secrets"


class RecipeSettings(_Section):
    """Where recipe files are, and which values an installation gives to their inputs: `[recipes.inputs.ID]`."""

    dir: str = "recipes"
    inputs: dict[str, dict[str, Any]] = {}


class IdentitySettings(_Section):
    """How records of several connections are told to be the same company or person.

    `rules` are the keys that join two by themselves. `shared_domains` are domains, beside those of freemail providers, that tell
    nobody apart: an agency's, a reseller's, your own. Whoever scores `suggest_from` or more is suggested to a person.
    """

    rules: list[Literal["external_id", "domain", "email"]] = ["external_id", "domain", "email"]
    shared_domains: list[str] = []
    suggest_from: Annotated[float, Field(ge=0.6, le=1.0)] = 0.8


class Settings(BaseModel):
    """The whole configuration, before connections are understood by their connectors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    store: StoreSettings = StoreSettings()
    daemon: DaemonSettings = DaemonSettings()
    webhooks: WebhookSettings = WebhookSettings()
    contacts: ContactSettings = ContactSettings()
    plugins: PluginSettings = PluginSettings()
    secrets: SecretSettings = SecretSettings()
    recipes: RecipeSettings = RecipeSettings()
    identity: IdentitySettings = IdentitySettings()
    calendars: dict[CalendarName, CalendarSettings] = {}
    windows: list[WindowSettings] = []
    connections: dict[str, dict[str, Any]] = {}

    @field_validator("windows", mode="after")
    @classmethod
    def _told_apart(cls, windows: list[WindowSettings]) -> list[WindowSettings]:
        names = [one.name for one in windows]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the window {twice!r} stands here twice: give one of them another name")
        return windows
