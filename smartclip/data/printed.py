"""Data on a screen: names and captions as one line in which nothing is markup or a command.

Control characters, lone surrogates and marks that turn the direction of writing appear as escapes,
and what is long loses its middle. Memory addresses, which Python puts into some messages, go: the
same fault is told in the same words each time.
"""

import re
import unicodedata

MOST = 120
"""Characters of a name that are shown."""

_ADDRESS = re.compile(r"<[\w.]+(?: object)? at 0x[0-9a-fA-F]+>")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def shown(told: object, most: int = MOST) -> str:
    """One line that can go to any terminal.

    Args:
        told: a name, a caption, or an error whose message is told.
        most: characters before the middle is left out.

    >>> shown("a\\x1b[31mb"), shown("x" * 300, most=9)
    ('a\\\\x1b[31mb', 'xxx...xxx')
    """
    text = _ADDRESS.sub("an open file", str(told))
    if len(text) > most:
        half = (most - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        ascii(each)[1:-1] if unicodedata.category(each) in _HIDDEN else each for each in text
    )
