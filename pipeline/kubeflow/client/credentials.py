"""Who asks: tokens and cookies from the environment, never from the command line, never written to a file."""

from __future__ import annotations

import os
from pathlib import Path

from taxiway.components.errors import UsageError

TOKEN_VARIABLE = "TAXIWAY_KFP_TOKEN"
TOKEN_FILE_VARIABLE = "TAXIWAY_KFP_TOKEN_FILE"
"""A file is read again when the token in it has expired."""
COOKIES_VARIABLE = "TAXIWAY_KFP_COOKIES"
SIGN_IN_REMEDY = (
    f"Sign in: put a token in {TOKEN_VARIABLE}, or in a file that {TOKEN_FILE_VARIABLE} names, or cookies in "
    f"{COOKIES_VARIABLE}."
)


def read_token() -> str | None:
    """The token of the environment; None where there is none.

    Raises:
        UsageError: The file that should hold it cannot be read.
    """
    file = os.environ.get(TOKEN_FILE_VARIABLE)
    if not file:
        return os.environ.get(TOKEN_VARIABLE)
    try:
        return Path(file).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}", f"{TOKEN_FILE_VARIABLE} names a file with a token."
        ) from error


def read_cookies() -> str | None:
    """The cookies of the environment; None where there are none."""
    return os.environ.get(COOKIES_VARIABLE)


def uses_iap() -> bool:
    """Identity-Aware Proxy: the client makes its own token from these."""
    return bool(os.environ.get("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID"))
