"""Run the command line as ``python -m karaoke``."""

from karaoke.cli import main

if __name__ == "__main__":
    main()
