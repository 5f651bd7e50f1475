"""What a tenant's objects are made of, as describe tells it: names in its own spelling, options of picklists; no guessing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import wire
from cxbridge.plugins.gainsight.errors import NoObject
from cxbridge.plugins.gainsight.rules import fold

# An option that is gone: its GSID says nothing to anybody.
_GSID: Final = re.compile(r"1[A-Z]\w{18,}")
_PICKED: Final = frozenset({"PICKLIST", "MULTISELECTDROPDOWNLIST"})


@dataclass(frozen=True)
class Described:
    """One object. Fields are found whatever their case and underscores, which differ from tenant to tenant."""

    name: str
    fields: Mapping[str, wire.Field]

    def find(self, *names: str) -> wire.Field | None:
        """Give the first of these fields that there is."""
        return next((self.fields[key] for key in map(_folded, names) if key in self.fields), None)

    def need(self, name: str, setting: str) -> wire.Field:
        """Give a field that the settings name.

        Raises:
            Rejected: there is none.
        """
        found = self.find(name)
        if found is None:
            raise cx.Rejected(
                f"{self.name} has no field {name[:80]}: make it in Gainsight under Data Management, or mend {setting}"
            )
        return found

    def resolved(
        self, candidates: Mapping[str, Sequence[str]], given: Mapping[str, str], setting: str
    ) -> dict[str, wire.Field]:
        """Give the field behind each canonical name: the one the settings name, else the first known name there is.

        Raises:
            Rejected: the settings name one that there is not.
        """
        found: dict[str, wire.Field] = {}
        for name, known in candidates.items():
            if name in given:
                found[name] = self.need(given[name], f"{setting}.{name}")
            elif field := self.find(*known):
                found[name] = field
        return found


def describe(client: cx.Client, *names: str) -> list[Described]:
    """Read what these objects are made of, in the order of the names.

    Raises:
        NoObject: the tenant lacks one.
        WireFormat: the vendor left one out.
    """
    told = wire.describe(client, names)
    known = {one.object_name.casefold(): one for one in told}
    found = []
    for number, name in enumerate(names):
        one = known.get(name.casefold()) or (told[number] if len(told) == len(names) else None)
        if one is None:
            raise cx.WireFormat(f"the description of {name} is missing", operation=f"POST {wire.DESCRIBE}")
        found.append(Described(name, {_folded(field.field_name): field for field in one.fields}))
    return found


def describe_if_there(client: cx.Client, name: str) -> Described:
    """Read what an object is made of that a tenant may lack: then it has no fields."""
    try:
        [found] = describe(client, name)
    except NoObject:
        return Described(name, {})
    return found


def label(field: wire.Field, value: object) -> str | None:
    """Read an option: rows hold its GSID. A text that is no option's is what somebody wrote; a GSID of none says nothing."""
    if not isinstance(value, str) or not value:
        return None
    for option in field.options or ():
        if option.value == value:
            return option.label
    return None if field.data_type in _PICKED and _GSID.fullmatch(value) else value


def offered(field: wire.Field, names: Iterable[str]) -> str | None:
    """Give the label of the first of these names that is an option in use; a field without options takes any."""
    wanted = list(names)
    if not field.options:
        return wanted[0] if wanted else None
    labels = {fold(option.label): option.label for option in field.options if option.active}
    return next((labels[fold(name)] for name in wanted if fold(name) in labels), None)


def options(field: wire.Field) -> str:
    """List the options in use, for a sentence."""
    return ", ".join(option.label for option in field.options or () if option.active) or "nothing"


def _folded(name: str) -> str:
    return name.replace("_", "").casefold()
