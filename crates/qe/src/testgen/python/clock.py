"""Another clock for the project's code: what depends on today shows itself, and a search does not."""

import datetime
import time

REAL = time.time


def moved_by(days):
    """Runs on, on another day and hour."""
    shift = days * 86400 + 5 * 3600
    _moved(lambda: REAL() + shift)


def moved_to(moment):
    """Stands still."""
    _moved(lambda: moment)


def _moved(now_is):
    real_datetime, real_date = datetime.datetime, datetime.date

    class Kind(type):
        def __instancecheck__(cls, value):
            return isinstance(value, cls.real)

        def __subclasscheck__(cls, kind):
            return issubclass(kind, cls.real)

    class date(real_date, metaclass=Kind):
        real = real_date

        @classmethod
        def today(cls):
            return cls.fromtimestamp(now_is())

    class moved(real_datetime, metaclass=Kind):
        real = real_datetime

        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now_is(), tz)

        @classmethod
        def utcnow(cls):
            return cls.fromtimestamp(now_is(), datetime.timezone.utc).replace(tzinfo=None)

        @classmethod
        def today(cls):
            return cls.fromtimestamp(now_is())

    moved.__name__ = moved.__qualname__ = "datetime"
    moved.__module__ = date.__module__ = "datetime"
    time.time = now_is
    datetime.datetime, datetime.date = moved, date
