"""Names that must fit into a figure."""


def shortened(name: str, most: int) -> str:
    """`name`, cut with an ellipsis where it has more than `most` characters.

    Examples
    --------
    >>> shortened("Helix", 10), shortened("DNA binding", 10)
    ('Helix', 'DNA bindi…')
    """
    return name if len(name) <= most else f"{name[: most - 1]}…"
