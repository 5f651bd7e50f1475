"""Whether two accounts, or two contacts, may be the same: the keys they are found by, and a score with its grounds; pure.

A score only ever orders what a person is asked: nothing is merged for its sake.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec
from rapidfuzz import fuzz

from cxbridge.core.canonical import Account, Contact
from cxbridge.functions import naming
from cxbridge.functions.wordlists import GENERIC

K = TypeVar("K", bound=Hashable)

# Sorts of keys. `id` is what somebody else calls the record, `own` what its own platform does: two platforms that both count from
# one must not meet, so that `own` is compared with `id` alone.
SORTS: Final = ("id", "own", "domain", "email", "name", "form", "at", "region")
# Carried by thousands: kept to be compared, never to find by.
_DESCRIBING: Final = ("form", "at", "region")


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """One ground for, or against (negative), two records being the same."""

    key: str
    strength: float
    told: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of an account or a contact for comparing it, read from its keys."""

    name: str = ""
    form: str = ""
    region: str = ""
    ids: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    # The domains of a contact's addresses that belong to a company.
    at: frozenset[str] = frozenset()
    # What follows from the above and is asked again and again: the name in one word, its telling words, its initials, and what the
    # domains are called (`harrowfinch` of harrowfinch.test).
    close: str = ""
    heart: tuple[str, ...] = ()
    initials: str = ""
    labels: frozenset[str] = frozenset()

    @classmethod
    def of(cls, keys: Iterable[str]) -> "Profile":
        """Read a profile from a record's keys."""
        found: dict[str, list[str]] = {sort: [] for sort in SORTS}
        for key in keys:
            sort, _, value = key.partition(":")
            found[sort].append(value)
        name, form, region = (min(found[sort], default="") for sort in ("name", "form", "region"))
        return cls(
            name=name,
            form=form,
            region=region,
            ids=frozenset(found["id"]),
            own=frozenset(found["own"]),
            domains=frozenset(found["domain"]),
            emails=frozenset(found["email"]),
            at=frozenset(found["at"]),
            close=name.replace(" ", ""),
            heart=tuple(word for word in name.split() if word not in GENERIC),
            initials=naming.initials(name),
            labels=frozenset(_label(domain) for domain in found["domain"]),
        )


def keys_of(entity: Account | Contact, shared: Iterable[str] = ()) -> frozenset[str]:
    """Give the keys of an account or a contact; `shared` are domains, beside the freemail providers', that say nothing.

    One who was merged into another has none.
    """
    if entity.deleted_at is not None:
        return frozenset()
    nobodys = frozenset(shared)
    given = [entity.external_id or "", *entity.external_ids]
    keys = {("own", entity.source_id.casefold()), *(("id", naming.external_id(one)) for one in given)}
    if isinstance(entity, Account):
        name, form = naming.company(entity.name)
        keys |= {("name", name), ("form", form), ("region", (entity.region or "").strip().casefold())}
        keys |= {("domain", one) for one in _companies(entity.domains, nobodys)}
    else:
        if entity.status == "merged":
            return frozenset()
        emails = {naming.email(one) for one in entity.emails} - {""}
        keys |= {("name", naming.person(entity.name)), *(("email", one) for one in emails)}
        keys |= {("at", one) for one in _companies((one.rpartition("@")[2] for one in emails), nobodys)}
    # PostgreSQL cannot hold NUL, and an index row has its limits.
    return frozenset(f"{sort}:{value}".replace("\0", "")[:400] for sort, value in keys if value)


def _companies(domains: Iterable[str], nobodys: frozenset[str]) -> Iterator[str]:
    for one in domains:
        name = naming.domain(one)
        if name and name not in nobodys and not naming.is_freemail(name):
            yield name


def finds(key: str) -> bool:
    """Whether a key names few enough to look for who else has it."""
    return key.partition(":")[0] not in _DESCRIBING


def contradiction(one: Profile, other: Profile) -> str:
    """Say which ids speak against two records: of one sort, and none of them the same; nothing where none do.

    Numbers alone are no sort: everybody's are of some length.
    """
    mine, theirs = _by_shape(one.ids), _by_shape(other.ids)
    for sort in sorted(mine.keys() & theirs.keys()):
        if not mine[sort] & theirs[sort]:
            return f"{min(mine[sort])} is not {min(theirs[sort])}"
    return ""


def _by_shape(ids: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in ids:
        sort = naming.shape(one)
        if sort and not sort.isdigit():
            found.setdefault(sort, set()).add(one)
    return found


def alike(one: Profile, other: Profile) -> float:
    """Compare two companies' names, from 0 to 100.

    What most companies are called (`logistics`, `group`) counts little; a name may be the beginning, the heart or the initials of
    the other one.
    """
    if not one.name or not other.name:
        return 0.0
    if one.name == other.name:
        return 100.0
    if one.close == other.close:
        return 99.0
    whole = max(
        fuzz.ratio(one.name, other.name),
        fuzz.token_sort_ratio(one.name, other.name),
        fuzz.ratio(one.close, other.close),
    )
    short = 84.0 if initials_fit(one, other) else 0.0
    if not one.heart or not other.heart:
        return max(whole, short)
    mine, theirs = set(one.heart), set(other.heart)
    if mine == theirs:
        return max(whole, 92.0)
    less, more = (mine, theirs) if len(mine) <= len(theirs) else (theirs, mine)
    letters = sum(map(len, less))
    if letters >= 4 and less < more:
        return max(whole, 80.0 + 8.0 * letters / sum(map(len, more)))
    # Nearly the same word for word is a slip of the pen; nearly the same around one different word is somebody else. Nobody slips
    # at the first letter: `northern` is not `southern`.
    hearts = fuzz.token_sort_ratio(" ".join(one.heart), " ".join(other.heart))
    only_mine, only_theirs = mine - theirs, theirs - mine
    if len(only_mine) == len(only_theirs) == 1 and min(only_mine)[0] != min(only_theirs)[0]:
        hearts -= 20.0
    return max((whole + hearts) / 2, short)


def initials_fit(one: Profile, other: Profile) -> bool:
    """Whether one name is the initials of the other, three letters or more."""
    return any(
        len(short.name) >= 3 and short.name == long.initials and short.initials == ""
        for short, long in ((one, other), (other, one))
    )


def unlike(one: Profile, other: Profile) -> bool:
    """Whether two companies' names have nothing to do with each other."""
    if not one.name or not other.name or alike(one, other) >= 60 or labelled(one, other):
        return False
    return not any(fuzz.ratio(mine, theirs) >= 80 for mine in one.heart for theirs in other.heart)


def labelled(one: Profile, other: Profile) -> bool:
    """Whether a domain of one is called as the other one is."""
    if not one.labels and not other.labels:
        return False
    for has, named in ((one, other), (other, one)):
        for label in has.labels:
            if (
                len(label) >= 5
                and len(named.close) >= 5
                and (named.close.startswith(label) or label.startswith(named.close))
            ):
                return True
    # One domain that both have is known already; the same name in another one is news.
    return any(
        len(_label(mine)) >= 5 and _label(mine) == _label(theirs)
        for mine in one.domains - other.domains
        for theirs in other.domains - one.domains
    )


def _label(domain: str) -> str:
    return domain.split(".", 1)[0].replace("-", "")


# What is alike beside the name adds no more than this, from 0 to 100.
_BESIDE: Final = 18.0


def score_accounts(one: Profile, other: Profile, least: float = 0.0) -> tuple[float, tuple[Evidence, ...]]:
    """Score two accounts from 0 to 1, with the grounds; what can never reach `least` gets 0 without looking further."""
    names = alike(one, other)
    if names + _BESIDE < least * 100 and not labelled(one, other):
        return 0.0, ()
    found = [Evidence("name", round(names / 100, 3), f"{one.name} ~ {other.name}")]
    total = names
    if labelled(one, other):
        found.append(Evidence("label", 0.06, "a domain is called as the other one is"))
        total = max(total, 78.0) + 6
    total += _shared_keys(one, other, found)
    if against := contradiction(one, other):
        found.append(Evidence("against:id", -0.12, against))
        total -= 12
    if one.form and other.form and one.form != other.form:
        found.append(Evidence("against:form", -0.03, f"{one.form} is not {other.form}"))
        total -= 3
    if one.region and other.region:
        same = one.region == other.region
        found.append(Evidence("region" if same else "against:region", 0.02 if same else -0.03))
        total += 2 if same else -3
    return round(min(100.0, max(0.0, total)) / 100, 3), tuple(found)


def score_contacts(one: Profile, other: Profile, least: float = 0.0) -> tuple[float, tuple[Evidence, ...]]:
    """Score two contacts from 0 to 1, with the grounds: a name alone is never enough. `least` is as for accounts."""
    del least
    names = 100.0 if one.name and one.name == other.name else fuzz.token_sort_ratio(one.name, other.name)
    found = [Evidence("name", round(names / 100, 3), f"{one.name} ~ {other.name}")]
    total = names * 0.7
    for domain in sorted(one.at & other.at)[:1]:
        found.append(Evidence(f"at:{domain}", 0.2))
        total += 20
    total += _shared_keys(one, other, found)
    if {mail.partition("@")[0] for mail in one.emails} & {mail.partition("@")[0] for mail in other.emails}:
        found.append(Evidence("mailbox", 0.08, "the same before the @"))
        total += 8
    if against := contradiction(one, other):
        found.append(Evidence("against:id", -0.12, against))
        total -= 12
    return round(min(100.0, max(0.0, total)) / 100, 3), tuple(found)


def _shared_keys(one: Profile, other: Profile, found: list[Evidence]) -> float:
    """Note keys that both have although no rule may go by them; gives what they add."""
    shared = [f"id:{key}" for key in (one.ids & (other.ids | other.own)) | (other.ids & one.own)]
    shared += [f"domain:{key}" for key in one.domains & other.domains]
    shared += [f"email:{key}" for key in one.emails & other.emails]
    found += [Evidence(key, 0.1) for key in sorted(shared)]
    return 10.0 if shared else 0.0


# -- finding whom to compare -------------------------------------------------------------------------------------------

# A word that more than so many companies have in their names finds nobody; their spelling still does.
_MOST = 50
# How much of the longer spelling two names must share, in groups of three letters.
_SHARE = 0.5


@dataclass(slots=True)
class NameIndex(Generic[K]):
    """Companies by the words of their names and by groups of three letters, so that nobody has to be compared with everybody."""

    profiles: dict[K, Profile] = field(default_factory=dict)
    # By number: whose spelling it is, and of how many groups; None for one that was taken out.
    _held: list[tuple[K, int] | None] = field(default_factory=list)
    _numbers: dict[K, list[int]] = field(default_factory=dict)
    _groups: dict[str, list[int]] = field(default_factory=dict)
    _words: dict[str, set[K]] = field(default_factory=dict)

    def put(self, key: K, profile: Profile) -> None:
        """Hold a company by its name and by what its domains are called, in place of what was held under the key."""
        self.drop(key)
        self.profiles[key] = profile
        for spelling in _spellings(profile):
            groups = _three(spelling)
            number = len(self._held)
            self._held.append((key, len(groups)))
            self._numbers.setdefault(key, []).append(number)
            for group in groups:
                self._groups.setdefault(group, []).append(number)
        for word in _index_words(profile):
            self._words.setdefault(word, set()).add(key)

    def drop(self, key: K) -> None:
        """Hold a company no more."""
        for number in self._numbers.pop(key, ()):
            self._held[number] = None
        known = self.profiles.pop(key, None)
        for word in _index_words(known) if known else ():
            self._words[word].discard(key)

    def near(self, profile: Profile) -> set[K]:
        """Name those who may be meant: with a rare word in common, or spelt much alike."""
        found: set[K] = set()
        for word in _index_words(profile):
            holders = self._words.get(word, ())
            if len(holders) <= _MOST:
                found.update(holders)
        for spelling in _spellings(profile):
            found.update(self._spelt(_three(spelling)))
        return found

    def _spelt(self, groups: frozenset[str]) -> Iterator[K]:
        counts: Counter[int] = Counter()
        for group in groups:
            counts.update(self._groups.get(group, ()))
        least = _SHARE * len(groups)
        for number, times in counts.items():
            held = self._held[number] if times >= least else None
            if held is not None and times >= _SHARE * held[1]:
                yield held[0]


def _spellings(profile: Profile) -> list[str]:
    return [one for one in (profile.name, *sorted(profile.labels - {profile.close})) if one]


def _index_words(profile: Profile) -> set[str]:
    words = {word for word in profile.heart if len(word) >= 4}
    # The beginning, however it is cut into words; and initials, which meet a name that is just these.
    words |= {f"#{one[:6]}" for one in (profile.close, *profile.labels) if one}
    # Keys that several have, by which no rule may go.
    words |= {f"@{one}" for one in (*profile.domains, *profile.ids)}
    short = profile.initials or (profile.name if len(profile.name) <= 6 else "")
    if len(short) >= 3:
        words.add(f"={short}")
    return words


def _three(name: str) -> frozenset[str]:
    return frozenset(
        padded[at : at + 3] for word in name.split() for padded in (f" {word} ",) for at in range(len(padded) - 2)
    )
