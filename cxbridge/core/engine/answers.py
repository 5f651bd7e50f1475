"""What is known to have been done by a delivery, as a value, and what the store keeps of it; writes nothing itself."""

from datetime import datetime
from typing import Any, Literal, Self

import msgspec

from cxbridge.core.connector import Receipt
from cxbridge.core.ledger import Delivery, Ref, Run, StoredReceipt
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store.audit import Wrote

By = Literal["answer", "look-up", "earlier write"]


class Answer(msgspec.Struct, frozen=True):
    """A delivery as it is done: `by` the vendor's answer, a look-up, or an earlier write that serves as well."""

    delivery: Delivery
    receipt: Receipt
    run: Run
    recipe: Recipe | None
    at: datetime
    by: By

    @classmethod
    def to(
        cls, delivery: Delivery, receipt: Receipt, run: Run, recipe: Recipe | None, at: datetime, by: By = "answer"
    ) -> Self:
        """Make what is known at that time of a delivery that was marked, or in doubt."""
        done = msgspec.structs.replace(delivery, state="confirmed", settled_at=at, error="", error_code="")
        return cls(done, receipt, run, recipe, at, by)

    @property
    def ref(self) -> Ref:
        """What was written to, or came into being."""
        return Ref(self.delivery.connection, self.receipt.stream, self.receipt.key)

    @property
    def told(self) -> dict[str, Any]:
        """What the step leaves to those after it."""
        receipt = self.receipt
        return {
            "id": str(self.ref),
            "source_key": receipt.source_key,
            "url": receipt.url,
            "version": receipt.version,
            "told": receipt.told,
            "changed": receipt.changed,
        }

    def entry(self, run: Run) -> Wrote:
        """Give the entry in the audit chain; `run` as it is stored."""
        more = {"version": run.version, "ref": str(self.ref), "changed": self.receipt.changed, "by": self.by}
        return Wrote("adopted" if self.by == "earlier write" else "confirmed", self.delivery, run.subject, more)

    def rows(self) -> list[StoredReceipt]:
        """Give the receipts to be kept: what was written to first, then whatever else came into being."""
        if self.by == "earlier write":
            return []
        delivery, receipt, ref = self.delivery, self.receipt, self.ref
        # What came into being may be what the receipt is about: a comment is written to a ticket, and is an entity of its own.
        created = receipt.changed and (delivery.target is None or f"{ref.stream}/{ref.key}" in receipt.made)
        rows = [
            StoredReceipt(
                delivery=delivery.id,
                run=delivery.run,
                recipe=delivery.recipe,
                ref=ref,
                role="made" if created else "wrote",
                wrote=dict(receipt.wrote),
                source_key=receipt.source_key,
                url=receipt.url,
                version=receipt.version,
                told=receipt.told,
                changed=receipt.changed,
                hops=delivery.hops,
                at=self.at,
            )
        ]
        rows += [
            StoredReceipt(
                delivery=delivery.id,
                run=delivery.run,
                recipe=delivery.recipe,
                ref=Ref.local(delivery.connection, text),
                role="made",
                hops=delivery.hops,
                at=self.at,
            )
            for text in receipt.made
            if Ref.local(delivery.connection, text) != ref
        ]
        return rows
