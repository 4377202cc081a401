"""The one exception for a user's mistake: its message is a single plain line that says what, where and how to mend it."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or bad usage. The command line prints the message and exits with 2; the app shows it; neither shows a traceback."""


class Away(UserError):
    """A server that can't be reached any more. No single problem is to blame, so work ends here, and goes on here when it is back."""
