"""The one exception for a user's mistake: its message is a single plain line that says what, where and how to mend it."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or bad usage. The command line prints the message and exits with 2; the app shows it; neither shows a traceback."""
