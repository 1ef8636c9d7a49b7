"""The console script of mmbio as a file, which processes that share a training start again."""

from mmbio.cli import main

if __name__ == "__main__":
    main()
