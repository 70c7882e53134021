"""What the system says when a connection or a listener fails, in one line."""

from __future__ import annotations

import os
from typing import cast


def reason(error: BaseException) -> str:
    """Return what the system said, without the wrapping that dialling several addresses adds."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return "; ".join(dict.fromkeys(map(reason, group.exceptions)))
    if error.__cause__ is not None:
        return reason(error.__cause__)
    if isinstance(error, OSError) and error.strerror:
        # the number's own text: loops write the address into strerror
        number = error.errno or 0
        return (os.strerror(number) if number > 0 else error.strerror).lower()
    return str(error).lower() or type(error).__name__
