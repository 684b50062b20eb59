"""What the recorder's last node was given: apart, so that a test reads it without importing TFX."""

from typing import Any

SEEN: dict[str, Any] = {}
