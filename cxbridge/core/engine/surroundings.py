"""The installation as recipes meet it: calendars and windows from the settings, and who judges texts; decides nothing."""

from cxbridge.core.config import Configuration
from cxbridge.core.recipes.surroundings import Judge, Surroundings, Window


def surroundings(configuration: Configuration, judge: Judge | None = None) -> Surroundings:
    """Put together what recipes may ask of an installation. Without a judge every text is `unknown`."""
    settings = configuration.settings
    return Surroundings(
        calendars={name: one.calendar(name) for name, one in settings.calendars.items()},
        windows=tuple(
            Window(one.name, one.kind, one.start, one.end, tuple(one.accounts), tuple(one.products), one.about)
            for one in settings.windows
        ),
        judge=judge,
    )
