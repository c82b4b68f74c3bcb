"""`python -m simulator`: a simulated Entra tenant on 127.0.0.1 until it is
interrupted."""

import argparse
import sys
from pathlib import Path

from simulator.server import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--users", type=int, default=200, help="how many people the company has")
    parser.add_argument("--groups", type=int, default=12, help="how many groups")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed gives the same company, ids and all"
    )
    parser.add_argument("--state", type=Path, help="go on from this file, and save to it at the end")
    chosen = parser.parse_args()
    try:
        run(chosen.port, chosen.users, chosen.groups, chosen.seed, chosen.state)
    except (OSError, ValueError) as error:
        # A port in use, a state file of another kind: the message says which.
        sys.exit(f"simulator: {error}")


if __name__ == "__main__":
    main()
