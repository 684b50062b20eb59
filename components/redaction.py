"""Finds addresses (URLs) with passwords in them, and hides the passwords. Imports no module of Taxiway."""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRET_WORDS = "token|key|secret|sig|signature|password|passwd|pwd|passphrase|credential|auth|sas"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]+:/{1,3}"  # one slash is left where a path was made of it
_IN_ADDRESS = (
    # user:password@ or token@ before the first slash; then a password that holds a slash itself: no port looks so
    re.compile(rf"({_SCHEME})[^\s/?#]*@"),
    re.compile(rf"({_SCHEME})[^\s/?#:@]*:(?!\d{{1,5}}(?:[/?#\s]|$))\S*@"),
    re.compile(
        rf"({_SCHEME}\S*?[?&;#](?:[^=&;\s]*[_.\-])?(?:[a-z]*(?:{_SECRET_WORDS})[a-z]*)=)(?!\*\*\*)[^&;\s'\"]+", re.I
    ),
)
_ASSIGNED = re.compile(
    r"(?<![\w.])((?:password|passwd|pwd|passphrase|secret|access_token|api_?key)=)[^\s&;'\"=]+", re.I
)


def redact_secrets(text: str) -> str:
    """The text with `***` in the place of every password, key and token of an address in it.

    Everything before the `@` of an address is hidden, since a token may be in the place of the user. This is for text
    that is shown or kept; a setting that holds such an address is refused, see `holds_password`.
    """
    if ":/" in text:
        userinfo, with_slash, query = _IN_ADDRESS
        text = with_slash.sub(rf"\1{HIDDEN}@", userinfo.sub(rf"\1{HIDDEN}@", text))
        while (hidden := query.sub(rf"\1{HIDDEN}", text)) != text:  # one address may hold several
            text = hidden
    return _ASSIGNED.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def holds_password(address: str) -> bool:
    """Whether an address carries a password, a key or a token."""
    return any(pattern.search(address) for pattern in _IN_ADDRESS)
