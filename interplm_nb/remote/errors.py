"""What can go wrong with an object store, in sentences."""


class StoreError(Exception):
    """A store cannot be used, or does not hold what it should; the message says what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, without the calls that led to it."""
        return [str(self)]
