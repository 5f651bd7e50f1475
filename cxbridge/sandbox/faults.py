"""Named faults that can be added to a running sandbox and taken away again. Decides which apply; applies none itself.

Names follow Toxiproxy where it has one. What each does to a request, and its params:

    status          the vendor does nothing and answers {code, body?, headers?}
    rate_limited    429 with {retry_after: seconds | "http-date" | "absent" | "absurd" | "garbled"}; {seconds} until
                    the date
    reset           the connection is reset before a byte of the answer; the vendor does nothing
    ghost           the vendor does everything, then resets the connection without an answer; {seconds} hangs first
    limit_data      the vendor does everything; its body is cut after {bytes}, under the full Content-Length
    wrong_length    the vendor does everything; its Content-Length tells {by} bytes more than come, or fewer: then the rest
                    stands before the next answer on that connection
    slicer          the vendor does everything; the answer drips in pieces of {bytes}, {seconds} apart
    slow_close      the vendor does everything; the connection stays {seconds} after a whole answer, then closes
    broken_gzip     the vendor does everything; its answer is compressed and {how: "cut" | "garbage" | "checksum" |
                    "bomb"}
    latency         the vendor starts {seconds} late; further rules still apply
    html            the vendor does nothing and answers 200 with a login page
    bad_json        the vendor does everything; the JSON of the answer breaks off, under a matching Content-Length
    wrong_charset   the vendor does everything; its answer is in {encoding}, and says nothing of it
    nan             the vendor does everything; its JSON holds NaN at {path}, or for its first number or value
    deep            the vendor does everything; its JSON is {levels} lists deep at {path}, or altogether
    huge            the vendor does everything; {bytes} of blanks come before its answer, {told} in Content-Length or
                    not, {gzip} or plain; nobody holds them whole here
    rewrite         the vendor does everything; its JSON has values replaced by {set: {path: value}} and removed by
                    {drop: [path]}, with paths like `tickets.*.status` or `tickets.0.priority`
    duplicate_page  the answer given last on the same path is given again; waits until there is one
    skip_item       the vendor does everything; row {at} of the longest list is left out, as when rows shift
    cursor_reset    the vendor forgets where the client was: it answers what was asked first on the same path
    cursor_loop     the last {period} answers on the same path come round and round; waits until there are some
    stale           the answer that an equal request got in the last {seconds} is given again, as by a cache
    late_visible    the vendor does everything; lists leave out what integrations wrote in the last {seconds}
    revoke_token    credentials are refused, until the rule is removed
    scope_removed   the vendor does nothing and says in its own words that the credential lacks {scope}

A vendor's clock is no fault of a request: `SandboxClock.skew` sets it wrong, `advance` moves the time of all.
"""

import re
import threading
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

import msgspec

FaultName = Literal[
    "status",
    "rate_limited",
    "reset",
    "ghost",
    "limit_data",
    "wrong_length",
    "slicer",
    "slow_close",
    "broken_gzip",
    "latency",
    "html",
    "bad_json",
    "wrong_charset",
    "nan",
    "deep",
    "huge",
    "rewrite",
    "duplicate_page",
    "skip_item",
    "cursor_reset",
    "cursor_loop",
    "stale",
    "late_visible",
    "revoke_token",
    "scope_removed",
]

NAMES: tuple[str, ...] = get_args(FaultName)

# These change the circumstances of a request and leave room for a further fault that answers it.
PASSING = ("latency", "revoke_token")


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When a fault strikes: skip the first `after` matching requests, then strike `times` (None: until removed)."""

    name: FaultName
    vendor: str
    method: str | None = None
    path_regex: str | None = None
    after: int = 0
    times: int | None = 1
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    id: int = 0
    struck: int = 0

    def matches(self, vendor: str, method: str, path: str) -> bool:
        """Whether a request is of the kind this rule is about; the path is searched without its query."""
        return (
            self.vendor in (vendor, "*")
            and (self.method is None or self.method.upper() == method)
            and (self.path_regex is None or re.search(self.path_regex, path) is not None)
        )

    def spent(self) -> bool:
        return self.times is not None and self.times <= 0


class Faults:
    """The rules in force, tried in the order they were added; safe to change from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._ids = 0

    def add(
        self,
        name: str,
        vendor: str,
        *,
        method: str | None = None,
        path_regex: str | None = None,
        after: int = 0,
        times: int | None = 1,
        **params: Any,
    ) -> Rule:
        """Put a rule in force.

        Raises:
            ValueError: the name is unknown or the expression is not one.
        """
        return self.add_rule(
            {
                "name": name,
                "vendor": vendor,
                "method": method,
                "path_regex": path_regex,
                "after": after,
                "times": times,
                "params": params,
            }
        )

    def add_rule(self, fields: Mapping[str, Any]) -> Rule:
        """Put a rule in force as the control API describes it.

        Raises:
            ValueError: the name is unknown, a field is missing or unknown, or the expression is not one.
        """
        if fields.get("name") not in NAMES:
            raise ValueError(f"fault {fields.get('name')!r} is unknown; the names are {', '.join(NAMES)}")
        try:
            rule = msgspec.convert(fields, Rule)
            if rule.path_regex is not None:
                re.compile(rule.path_regex)
        except msgspec.ValidationError as error:
            raise ValueError(f"fault {fields.get('name')!r}: {error}") from error
        except re.error as error:
            raise ValueError(
                f"fault {fields.get('name')!r}: path_regex is not a regular expression: {error}"
            ) from error
        with self._lock:
            self._ids += 1
            rule.id = self._ids
            rule.struck = 0
            self._rules.append(rule)
        return rule

    def remove(self, ident: int) -> bool:
        """Take a rule out of force; False if there is none of that number."""
        with self._lock:
            kept = [rule for rule in self._rules if rule.id != ident]
            found = len(kept) != len(self._rules)
            self._rules = kept
            return found

    def clear(self, vendor: str | None = None, name: str | None = None) -> int:
        """Take every rule of a vendor and name out of force; returns how many there were."""
        with self._lock:
            kept = [r for r in self._rules if (vendor not in (None, r.vendor)) or (name is not None and r.name != name)]
            removed = len(self._rules) - len(kept)
            self._rules = kept
            return removed

    def rules(self) -> list[Rule]:
        """The rules still in force; one that has struck its last time is gone."""
        with self._lock:
            return list(self._rules)

    def take(self, vendor: str, method: str, path: str, unless: Collection[str] = ()) -> list[Rule]:
        """The faults that strike this request: any number of passing ones and at most one that answers it.

        Counts each as used. Rules named in `unless` cannot strike now and are left for later.
        """
        struck: list[Rule] = []
        with self._lock:
            for rule in self._rules:
                if rule.name in unless or rule.spent() or not rule.matches(vendor, method, path):
                    continue
                if rule.after > 0:
                    rule.after -= 1
                    continue
                if rule.times is not None:
                    rule.times -= 1
                rule.struck += 1
                struck.append(rule)
                if rule.name not in PASSING:
                    break
            if struck:
                self._rules = [rule for rule in self._rules if not rule.spent()]
        return struck

    def revoked(self, vendor: str) -> bool:
        """Whether a rule refuses all of a vendor's credentials."""
        with self._lock:
            return any(rule.name == "revoke_token" and rule.vendor in (vendor, "*") for rule in self._rules)

    def revoke(self, vendor: str) -> None:
        """Refuse a vendor's credentials until `restore`; repeating it changes nothing."""
        if not self.revoked(vendor):
            self.add("revoke_token", vendor, times=None)

    def restore(self, vendor: str) -> None:
        self.clear(vendor, "revoke_token")
