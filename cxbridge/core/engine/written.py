"""What we wrote beside what a vendor shows of it; it reads nothing and knows no recipe."""

from collections.abc import Mapping, Sequence
from typing import Any

from cxbridge.core.ledger import StoredReceipt


def overruled(written: Sequence[StoredReceipt], after: Mapping[str, Any]) -> frozenset[str]:
    """Name the fields that do not show what we wrote to them last, and never did in any version that we met."""
    newest: dict[str, tuple[Any, bool]] = {}
    for receipt in written:
        for name, value in receipt.wrote.items():
            newest.setdefault(name, (value, receipt.seen_seq is None))
    return frozenset(name for name, (value, unseen) in newest.items() if unseen and not same(value, after.get(name)))


def same(written: Any, shown: Any) -> bool:
    """Compare what was written with what is shown: lists without regard to order, texts without regard to edges."""
    if isinstance(written, list) and isinstance(shown, list):
        return sorted(map(str, written)) == sorted(map(str, shown))
    if isinstance(written, str) and isinstance(shown, str):
        return written.strip() == shown.strip()
    return bool(written == shown)
