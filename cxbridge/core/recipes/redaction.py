"""Masks what is plainly personal in free text: e-mail addresses, phone, card and bank account numbers.

It recognises shapes, not people: a name or a street passes. Each scan looks at a character a bounded number of times,
whatever the text says. It must never change a text that holds none of these shapes.
"""

import re

_LOCAL_MARKS = frozenset("._%+-")
_DOMAIN = re.compile(r"[^\W_](?:[\w-]{0,62})(?:\.[^\W_](?:[\w-]{0,62})){1,8}")
# Digits with at most two separators between neighbours: one left-to-right pass, nothing to backtrack into.
_NUMBER = re.compile(r"(?<![\w.])[+(]{0,2}\d(?:[ ().\-/\u00a0]{0,2}\d){6,}(?!\w)", re.ASCII)
_GROUP = re.compile(r"\d+", re.ASCII)
_ACCOUNT = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}", re.ASCII)
_TIME_LIKE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}", re.ASCII)
_ADDRESS_LIKE = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}\Z", re.ASCII)

_LONGEST_LOCAL = 64


def redact_personal(text: str) -> str:
    """The text with e-mail addresses, card numbers, IBANs and phone numbers replaced by their kind in brackets."""
    return _numbers(_accounts(_emails(text)))


def _emails(text: str) -> str:
    done: list[str] = []
    kept = 0
    at = text.find("@")
    while at >= 0:
        start = at
        while start > kept and at - start < _LONGEST_LOCAL and _is_local(text[start - 1]):
            start -= 1
        domain = _DOMAIN.match(text, at + 1)
        if start < at and domain:
            done += [text[kept:start], "[e-mail]"]
            kept = domain.end()
        at = text.find("@", max(at + 1, kept))
    done.append(text[kept:])
    return "".join(done)


def _is_local(char: str) -> bool:
    return char.isalnum() or char in _LOCAL_MARKS


def _accounts(text: str) -> str:
    return _ACCOUNT.sub(_mask_account, text)


def _mask_account(found: re.Match[str]) -> str:
    """Mask the longest part that ends with a word and whose check digits are right: words may follow the number."""
    raw = found.group()
    characters = 0
    digits = ""
    best = 0
    for index, char in enumerate(raw):
        if char in " -":
            continue
        characters += 1
        digits += char if char.isdigit() else str(ord(char.upper()) - 55)
        ends = index + 1 == len(raw) or raw[index + 1] in " -"
        if characters >= 15 and ends and _iban_checks(digits):
            best = index + 1
    return "[IBAN]" + raw[best:] if best else raw


def _iban_checks(digits: str) -> bool:
    # ISO 13616: country (two letters, two digits each) and check digits go to the end, the whole is 1 modulo 97.
    return int(digits[6:] + digits[:6]) % 97 == 1


def _numbers(text: str) -> str:
    return _NUMBER.sub(_mask_number, text)


def _mask_number(found: re.Match[str]) -> str:
    raw = found.group()
    done: list[str] = []
    kept = 0
    for start, end in _cards(raw):
        done += [_mask_phone(raw[kept:start]), "[card]"]
        kept = end
    done.append(_mask_phone(raw[kept:]))
    return "".join(done)


def _mask_phone(raw: str) -> str:
    number = raw.strip(" .-/\u00a0")
    return raw.replace(number, "[phone]") if number and _is_phone(number) else raw


def _cards(raw: str) -> list[tuple[int, int]]:
    """Where 13 to 19 digits with a right Luhn digit stand, beginning and ending at the edge of a group of digits."""
    groups = [(group.start(), group.end(), group.group()) for group in _GROUP.finditer(raw)]
    cards: list[tuple[int, int]] = []
    first = 0
    while first < len(groups):
        digits, longest = "", None
        for last in range(first, min(first + 19, len(groups))):
            digits += groups[last][2]
            if len(digits) > 19:
                break
            if len(digits) >= 13 and _luhn([int(digit) for digit in digits]):  # ISO/IEC 7812: 13 to 19 digits
                longest = last
        if longest is None:
            first += 1
        else:
            cards.append((groups[first][0], groups[longest][1]))
            first = longest + 1
    return cards


def _luhn(digits: list[int]) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += digit if place % 2 == 0 else digit * 2 - (9 if digit > 4 else 0)
    return total % 10 == 0 and any(digits)


def _is_phone(raw: str) -> bool:
    """Whether digits are written as a phone number: an international or trunk prefix, brackets, or groups."""
    digits = sum(char.isdigit() for char in raw)
    if not 7 <= digits <= 15 or _TIME_LIKE.match(raw) or _ADDRESS_LIKE.match(raw):
        return False
    if raw[0] in "+(" or raw.startswith("00"):
        return True
    groups = len(re.split(r"\D+", raw))
    return (digits >= 9 and groups >= 3) or (raw[0] == "0" and digits >= 9) or (digits == 10 and groups == 2)
