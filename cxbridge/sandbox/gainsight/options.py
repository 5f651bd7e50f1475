"""What a simulated tenant is like: its credentials, its limits, and which of the documented oddities it shows. Holds no state."""

from collections.abc import Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec


class GainsightOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options of `World(options={"gainsight": …})`."""

    access_keys: list[str] = msgspec.field(default_factory=lambda: ["sandbox-token"])
    oauth_clients: dict[str, str] = msgspec.field(default_factory=lambda: {"cxbridge": "sandbox-secret"})
    token_ttl: int = 86_400
    user: str = "bridge@example.test"
    """Whom the journal names for what comes in over the API, and a user of the tenant."""
    ip_allowed: bool = True
    """Whether the caller's address is on the connection's allow-list."""
    per_minute: int | None = 100
    per_day: int | None = 50_000
    shape: Literal["mixed", "list", "records"] = "mixed"
    """Which of the two forms `data` has: as the pages of the documentation differ, or always one of them."""
    dates: Literal["epoch", "iso"] = "epoch"
    """How query results write times."""
    empty: Literal["error", "list"] = "error"
    """Whether a query that finds nothing is answered with HTTP 400 and GSOBJ_1011."""
    cockpit_errors: Literal[200, 400] = 200
    """The HTTP status of a refused cockpit request; both were seen."""
    btw_end: Literal["begin", "whole"] = "begin"
    """Whether `BTW [day, day]` ends where the last day begins, or where it ends."""
    filter_timezone: str = "UTC"
    """The zone in which a time without one is read in filters; undocumented."""
    most_rows: int = 5_000
    most_ctas: int = 1_000
    high_volume_log: bool = False
    """Whether the tenant has `record_delete_log_high_volume`; without it the object is not found."""
    scorecard_object: str | None = "scorecard_fact_company"
    """What the object with the scores of measures is called here; None: there is none."""
    missing_fields: list[str] = msgspec.field(default_factory=list)
    """Custom fields that this tenant does not have, as `object.field`."""
    renamed: dict[str, str] = msgspec.field(default_factory=dict)
    """Fields that are called otherwise here, as `object.field` to name."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.filter_timezone)


def from_mapping(values: Mapping[str, Any]) -> GainsightOptions:
    """Check what was given as options.

    Raises:
        ValueError: an option is unknown or of the wrong type.
    """
    try:
        options = msgspec.convert(dict(values), GainsightOptions)
        _ = options.zone
    except (msgspec.ValidationError, ZoneInfoNotFoundError) as error:
        raise ValueError(f"options of gainsight: {error}") from error
    return options
