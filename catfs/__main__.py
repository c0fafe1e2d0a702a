"""`python -m catfs`: the same as the command `catfs`."""

import sys

from catfs.cli.main import main

sys.exit(main())
