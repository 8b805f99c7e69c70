"""Step 1: cut a text into chunks."""

from __future__ import annotations


def split(text: str, size: int, overlap: int) -> list[str]:
    """The text as chunks of `size` words; each chunk begins with the last `overlap` words of the one before it.

    Words are what stands between spaces; in a chunk they are joined by one space. The last chunk may be shorter, but it
    always brings something new: no chunk lies wholly in the one before it. A text without words gives no chunk.
    ValueError unless 0 <= overlap < size.

    >>> split("a b c d e f g", size=4, overlap=2)
    ['a b c d', 'c d e f', 'e f g']
    """
    if not 0 <= overlap < size:
        raise ValueError(f"the overlap must be at least 0 and less than the size {size}; it is {overlap}")
    words = text.split()
    starts = range(0, len(words), size - overlap)  # the last chunk may lie in the one before it
    return [" ".join(words[start : start + size]) for start in starts if words]
