"""``python -m gru_native``: the command ``gru-native``, where its script is not on the PATH."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m gru_native"))
