"""``python -m sklearn_ser.cli``."""

import sys

from sklearn_ser.cli import main

sys.exit(main())
