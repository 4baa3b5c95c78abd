"""``python -m inchworm.app.cli``: the same as ``inchworm``."""

from inchworm.app.cli.root import main

if __name__ == "__main__":
    main(prog_name="inchworm")
