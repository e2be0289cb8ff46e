"""``python -m adserver``, and the ``adserver`` command."""

from adserver.cli.root import main

if __name__ == "__main__":
    main(prog_name="adserver")
