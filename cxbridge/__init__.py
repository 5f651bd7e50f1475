"""cxbridge: carries customer-experience processes across support, tracking and feedback tools."""

from typing import Final

__version__: Final = "0.1.0"
