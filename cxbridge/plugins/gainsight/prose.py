"""Plain text as the HTML that Gainsight's notes and comments hold, and back; pure, and nothing makes it fail."""

import html
import re
from html.parser import HTMLParser
from typing import Final

# The vendor's cap on rich text is not known for the cockpit; this is within that of every other place.
LIMIT: Final = 30_000
_CUT: Final = "\n\n[cut by cxbridge]"
_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_UNSENDABLE: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BLOCKS: Final = frozenset({"p", "div", "ul", "ol", "table", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6"})
_ROWS: Final = frozenset({"li", "tr"})
# What stands in these was never meant to be read.
_HIDDEN: Final = frozenset({"script", "style", "head", "title"})


def clean(text: str) -> str:
    """Bring text into the form that survives the way there and back: plain line ends, single blanks, one blank line at most."""
    lines = [" ".join(line.split()) for line in _UNSENDABLE.sub("", _ENDS.sub("\n", text)).split("\n")]
    whole = re.sub("\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    return whole if len(whole) <= LIMIT else whole[:LIMIT].rstrip() + _CUT


def to_html(text: str) -> str:
    """Write text as HTML: blank lines part paragraphs, and no character of it can become markup."""
    paragraphs = [html.escape(part).replace("\n", "<br>") for part in clean(text).split("\n\n")]
    return "".join(f"<p>{part}</p>" for part in paragraphs if part)


def to_text(markup: str | None) -> str:
    """Read HTML as text; what is no HTML is read as it stands."""
    if not markup:
        return ""
    reader = _Reader()
    reader.feed(_UNSENDABLE.sub("", markup))
    reader.close()
    return clean("".join(reader.parts))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag in _ROWS:
            self.parts.append("\n- " if tag == "li" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            # In HTML a line end is a blank.
            self.parts.append(re.sub(r"\s+", " ", data))
