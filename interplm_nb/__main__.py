"""`python -m interplm_nb`: the command line, where the script interplm-nb is not on the PATH."""

import sys

from interplm_nb.cli.main import program

if __name__ == "__main__":
    sys.exit(program())
