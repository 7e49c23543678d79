"""`python -m dimecli` is `dime`."""

from dimecli.cli import main

if __name__ == "__main__":
    main()
