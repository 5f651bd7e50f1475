"""The query language's grammar: text to a tree. It knows no field and no issue.

Syntax as `support.atlassian.com/jira-service-management-cloud/docs/use-advanced-search-with-jira-query-language-jql/`
describes it, without the history operators (`was`, `changed`) and with the functions `currentUser()` and `now()`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


class JqlError(Exception):
    """The query is refused; the text goes into `errorMessages`."""


@dataclass(frozen=True, slots=True)
class Value:
    """An operand; `kind` is word (unquoted), string, function or empty."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Clause:
    field: str
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Combined:
    """`kind` is and, or, or not; a not has one part."""

    kind: str
    parts: tuple["Node", ...]


Node = Clause | Combined


@dataclass(frozen=True, slots=True)
class Query:
    where: Node | None
    order: tuple[tuple[str, bool], ...]
    """Field and whether it descends."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


_LEXER: Final = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<sign>>=|<=|!=|!~|&&|\|\||[=~<>(),!])
      | (?P<word>cf\[\d+\]|[^\s"'=~<>(),!&|+;?*/%^$#@\[\]{}.\\]+)""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_OPERATORS: Final = "'=', '!=', '<', '>', '<=', '>=', '~', '!~', 'IN', 'IS'"
_HISTORY: Final = frozenset({"was", "changed"})
ORDER_LIMIT: Final = 7


def parse(text: str) -> Query:
    """The tree of a query; an empty text is a query without a restriction.

    Raises:
        JqlError: it is no query.
    """
    return _Parser(_tokens(text)).query()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _LEXER.match(text, at)
        if match is None:
            sign = text[at]
            if sign in "\"'":
                raise JqlError(
                    f"Error in the JQL Query: The quoted string '{text[at + 1 :]}' has not been completed.{_at(at)}"
                )
            raise JqlError(
                f"Error in the JQL Query: The character '{sign}' is a reserved JQL character. "
                f"You must enclose it in a string or use the escape instead.{_at(at)}"
            )
        kind = str(match.lastgroup)
        if kind != "space":
            body = match.group()
            tokens.append(_Token(kind, _unquote(body) if kind == "string" else body, at))
        at = match.end()
    return tokens


def _unquote(text: str) -> str:
    names = {"n": "\n", "t": "\t", "r": "\r"}

    def plain(match: re.Match[str]) -> str:
        body = match.group(1)
        if body.startswith("u") and len(body) == 5:
            return chr(int(body[1:], 16))
        return names.get(body, body)

    return _ESCAPE.sub(plain, text[1:-1])


def _at(position: int) -> str:
    return f" (line 1, character {position + 1})"


class _Parser:
    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def query(self) -> Query:
        where = None if self._peek() is None or self._is("order") else self._either()
        order = self._order() if self._is("order") else ()
        if (token := self._peek()) is not None:
            raise self._unexpected("either 'OR' or 'AND'", token)
        return Query(where, order)

    def _either(self) -> Node:
        parts = [self._both()]
        while self._take("or", "||"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Combined("or", tuple(parts))

    def _both(self) -> Node:
        parts = [self._term()]
        while self._take("and", "&&", "&"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Combined("and", tuple(parts))

    def _term(self) -> Node:
        if self._take("not", "!"):
            return Combined("not", (self._term(),))
        if self._take("("):
            inner = self._either()
            self._expect(")", "')'")
            return inner
        return self._clause()

    def _clause(self) -> Clause:
        token = self._peek()
        if token is None or token.kind == "sign":
            raise self._unexpected("a field name", token)
        self._next += 1
        field = token.text
        operator = self._operator(field)
        if operator in ("in", "not in"):
            return Clause(field, operator, self._operands())
        return Clause(field, operator, (self._operand(),))

    def _operator(self, field: str) -> str:
        token = self._peek()
        if token is not None and token.kind == "sign" and token.text in ("=", "!=", "<", ">", "<=", ">=", "~", "!~"):
            self._next += 1
            return token.text
        if self._take("in"):
            return "in"
        if self._take("is"):
            return "is not" if self._take("not") else "is"
        if self._is("not"):
            self._next += 1
            self._expect("in", "'IN'")
            return "not in"
        if token is not None and token.text.lower() in _HISTORY:
            raise JqlError(f"The sandbox keeps no searchable history: the operator '{token.text}' is not simulated.")
        raise self._unexpected(f"operator after '{field}'. The valid operators are {_OPERATORS}", token)

    def _operands(self) -> tuple[Value, ...]:
        if not self._take("("):
            operand = self._operand()
            if operand.kind == "function":
                return (operand,)
            raise JqlError(f"Error in the JQL Query: Expecting '(' but got '{operand.text}'.")
        values = [self._operand()]
        while self._take(","):
            values.append(self._operand())
        self._expect(")", "')' or ','")
        return tuple(values)

    def _operand(self) -> Value:
        token = self._peek()
        if token is None or token.kind == "sign":
            raise self._unexpected("either a value, list or function", token)
        self._next += 1
        if token.kind == "word" and token.text.lower() in ("empty", "null"):
            return Value("", "empty")
        if token.kind == "word" and self._take("("):
            self._expect(")", "')'")
            return Value(token.text.lower(), "function")
        return Value(token.text, token.kind)

    def _order(self) -> tuple[tuple[str, bool], ...]:
        self._next += 1
        self._expect("by", "'BY'")
        order: list[tuple[str, bool]] = []
        while True:
            token = self._peek()
            if token is None or token.kind == "sign":
                raise self._unexpected("a field name", token)
            self._next += 1
            descending = self._take("desc")
            if not descending:
                self._take("asc")
            order.append((token.text, descending))
            if not self._take(","):
                break
        if len(order) > ORDER_LIMIT:
            raise JqlError(f"The ORDER BY clause can contain a maximum of {ORDER_LIMIT} fields.")  # unverified wording
        return tuple(order)

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _is(self, word: str) -> bool:
        token = self._peek()
        return token is not None and token.kind != "string" and token.text.lower() == word

    def _take(self, *words: str) -> bool:
        if any(self._is(word) for word in words):
            self._next += 1
            return True
        return False

    def _expect(self, word: str, what: str) -> None:
        if not self._take(word):
            raise self._unexpected(what, self._peek())

    def _unexpected(self, what: str, token: _Token | None) -> JqlError:
        if token is None:
            return JqlError(f"Error in the JQL Query: Expecting {what} before the end of the query.")
        return JqlError(f"Error in the JQL Query: Expecting {what} but got '{token.text}'.{_at(token.at)}")
