"""`python -m cxbridge.cli`: the same as `cxbridge`."""

from cxbridge.cli import main

if __name__ == "__main__":
    main()
