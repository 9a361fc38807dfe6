"""JupyterLab's log as plain text: it names folders and files, whose names may hold marks."""

import copy
import logging

from tornado.log import LogFormatter

from interplm_nb.plain_text import plain


class PlainFormatter(LogFormatter):
    """Jupyter's formatter, with the message made `plain`; the colours around it stay."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        shown = copy.copy(record)
        shown.msg, shown.args = plain(record.getMessage()), ()
        return super().format(shown)


SETTINGS = {"formatters": {"console": {"class": f"{__name__}.{PlainFormatter.__name__}"}}}
"""Of `logging_config` of Jupyter's server."""
