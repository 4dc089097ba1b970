"""The command line: python -m cifarlib CMD …"""

import signal

# a Ctrl-C while the rest is imported ends the process as the system does, without a traceback
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import sys

from .tools.command_line import main

if __name__ == "__main__":
    sys.exit(main())
