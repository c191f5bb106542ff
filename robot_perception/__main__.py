"""Run the command ``robot-perception`` as ``python -m robot_perception``."""

import sys

from robot_perception.cli.main import main

sys.exit(main())
