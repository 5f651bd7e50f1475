"""A transaction that is under way, as the modules of this package pass it among themselves."""

from sqlalchemy.engine import Connection

from cxbridge.core.store import packing
from cxbridge.core.store.prepared import Dialect


class Tx:
    """A transaction that is under way; its `connection` is for the modules of this package alone."""

    __slots__ = ("connection", "dialect", "key", "packs", "writing")

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        *,
        writing: bool,
        key: bytes | None,
        packs: packing.Packs | None = None,
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self.writing = writing
        self.key = key
        self.packs = packs or packing.Packs()
