"""Names, domains, addresses and ids brought into the one form in which the same thing is written the same way; pure."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from cxbridge.functions.wordlists import FREEMAIL, LEGAL_FORMS, ROLES

# Longest first: `gmbh co kg` before `kg`.
_FORMS: Final = sorted((tuple(one.split()) for one in LEGAL_FORMS), key=lambda form: (-len(form), form))
# Forms that are the same one, written out or in short.
_SAME_FORM: Final = {
    "limited": "ltd",
    "private limited": "ltd",
    "pvt ltd": "ltd",
    "pty ltd": "ltd",
    "pte ltd": "ltd",
    "co ltd": "ltd",
    "incorporated": "inc",
    "corporation": "corp",
    "company": "co",
    "gmbh co": "gmbh co kg",
    "sp zoo": "spzoo",
    "sp z oo": "spzoo",
    "spolka zoo": "spzoo",
}
_SHORT: Final = {
    "intl": "international",
    "bros": "brothers",
    "mfg": "manufacturing",
    "svc": "services",
    "svcs": "services",
    "service": "services",
    "grp": "group",
    "gruppe": "group",
    "tech": "technologies",
    "technology": "technologies",
    "sys": "systems",
    "system": "systems",
    "dist": "distribution",
    "distrib": "distribution",
    "log": "logistics",
    "logistik": "logistics",
    "logistic": "logistics",
    "logistique": "logistics",
    "logistica": "logistics",
    "transports": "transport",
    "transporte": "transport",
    "assoc": "associates",
    "natl": "national",
    "univ": "university",
    "st": "saint",
}
_FILLERS: Final = frozenset(
    ("and", "und", "et", "y", "e", "the", "der", "die", "das", "le", "la", "les", "of", "de", "des", "del")
)
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "æ": "a", "œ": "o", "'": "", "’": ""}
)
# Umlauts written out: lost on both sides alike, so that either way of writing is the same.
_WRITTEN_OUT: Final = re.compile(r"ae|oe|ue")
_INITIALS: Final = re.compile(r"(?<!\w)(?:\w[./]\s?)+\w(?:\.|(?!\w))")
_WORD: Final = re.compile(r"[^\W_]+")

# What people write where they have no id.
_NO_ID: Final = frozenset(
    ("0", "-", "none", "null", "nil", "n/a", "na", "unknown", "test", "tbd", "todo", "nan", "undefined", "x")
)
# Salesforce: 15 letters in which capitals count; 18 where the last three say which are capital. Accounts and contacts.
_SALESFORCE: Final = re.compile(r"^00[13][A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?$")
_CHECK: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"

# Providers that have an address in every country.
_FAMILIES: Final = re.compile(r"^(?:gmail|googlemail|yahoo|hotmail|outlook|live|msn|gmx|aol)\.(?:com?\.)?[a-z]{2,3}$")
_DOMAIN: Final = re.compile(r"^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{1,61}$")


@lru_cache(maxsize=8192)
def company(name: str) -> tuple[str, str]:
    """Give a company's name without its legal form, and the form; both in plain small letters, blanks between words.

    A name that is nothing but a form stays.
    """
    words = _words(name)
    forms: list[str] = []
    cut = True
    while cut:
        cut = False
        for form in _FORMS:
            if len(words) > len(form) and tuple(words[-len(form) :]) == form:
                told = " ".join(form)
                forms.insert(0, _SAME_FORM.get(told, told))
                words = words[: -len(form)]
                cut = True
                break
    kept = [_SHORT.get(one, one) for one in words if one not in _FILLERS] or words
    return " ".join(kept), " ".join(forms)


@lru_cache(maxsize=8192)
def person(name: str) -> str:
    """Give a person's name in plain small letters, without titles; `Lee, Mia` is `Mia Lee`."""
    before, comma, after = name.partition(",")
    words = _words(f"{after} {before}" if comma and after.strip() else name)
    return " ".join(
        [one for one in words if one not in ("dr", "prof", "mr", "mrs", "ms", "herr", "frau", "ing")] or words
    )


def _words(text: str) -> list[str]:
    text = text.casefold()
    # `S.p.A.`, `L.L.C.`, `A/S` and `z o.o.` are one word each.
    text = _INITIALS.sub(lambda found: f" {re.sub(r'[./ ]', '', found[0])} ", text.translate(_LETTERS))
    text = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return [_WRITTEN_OUT.sub(lambda found: found[0][0], one) for one in _WORD.findall(text)]


def initials(name: str) -> str:
    """Give the first letters of a normalised name of several words, or nothing."""
    words = name.split()
    return "".join(one[0] for one in words) if len(words) > 1 else ""


def domain(text: str) -> str:
    """Give a domain in small ASCII letters, without `www.`, scheme or path; nothing when it is none."""
    text = text.strip().lower()
    text = text.partition("://")[2] or text
    text = re.split(r"[/?#:]", text, maxsplit=1)[0].rpartition("@")[2].strip(".").removeprefix("www.")
    try:
        text = text.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return text if _DOMAIN.match(text) else ""


def is_freemail(name: str) -> bool:
    """Whether anybody may have an address in a normalised domain."""
    return name in FREEMAIL or _FAMILIES.match(name) is not None


def email(text: str) -> str:
    """Give an address in small letters; nothing when it is none."""
    local, at, place = text.strip().casefold().rpartition("@")
    place = domain(place)
    return f"{local}@{place}" if at and local and place and not re.search(r"[\s<>,;]", local) else ""


def is_role(address: str) -> bool:
    """Whether an address looks like a mailbox of several people (`info@`, `support@`)."""
    return address.partition("@")[0].partition("+")[0] in ROLES


def external_id(text: str) -> str:
    """Give an id as it is compared: without regard to case; nothing for what people write where they have none.

    A Salesforce id of 15 letters is given the three that make it safe to compare like that.
    """
    text = text.strip()
    if text.casefold() in _NO_ID:
        return ""
    if _SALESFORCE.match(text) and len(text) == 15:
        text += "".join(
            _CHECK[sum(1 << at for at, letter in enumerate(text[start : start + 5]) if letter.isupper())]
            for start in (0, 5, 10)
        )
    return " ".join(text.casefold().split())


def is_weak_id(text: str) -> bool:
    """Whether two strangers may well have the same id: a short number, or nearly nothing."""
    return len(text) < 4 or (text.isdigit() and len(text) < 6)


@lru_cache(maxsize=8192)
def shape(text: str) -> str:
    """Say what a normalised id looks like, so that ids of one sort can be told: `hl-9999` for `hl-1001`; nothing else."""
    if re.match(r"^00[13][a-z0-9]{15}$", text):
        return "salesforce"
    found = re.match(r"^([a-z]{1,8}[-_ :#]?)?(\d{3,})$", text)
    return f"{found[1] or ''}{'9' * len(found[2])}" if found else ""
