"""``python -m embedded_vps``."""

import sys

from embedded_vps.cli import main

sys.exit(main())
