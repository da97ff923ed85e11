"""An axis kind: a function from options to levels. Options are checked against its signature."""

from schedplan.errors import SpaceError


def doubling(first: int, last: int) -> list[int]:
    """Return `first`, twice that, and so on, up to `last`: `{doubling: {first: 8, last: 64}}`.

    Raises:
        SpaceError: if the levels do not meet `last`; `path` says at which option.

    Example:
        >>> doubling(8, 64)
        [8, 16, 32, 64]
    """
    if first < 1:
        raise SpaceError(f"first is {first}", allowed="1 or more", path=("first",))
    levels = [first]
    while levels[-1] < last:
        levels.append(2 * levels[-1])
    if levels[-1] != last:
        raise SpaceError(
            f"last is {last}, which doubling {first} does not meet",
            hint=f"the nearest is {levels[-1]}",
            path=("last",),
        )
    return levels
