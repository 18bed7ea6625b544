"""`assay <verb>`, the same as `python -m app <verb>`. The one place that maps errors to exit codes.

0 good, 1 the gate failed, 2 wrong use, 3 inconclusive, 4 infrastructure, 130 interrupted.
"""

import sys

from data.errors import AccessError, AssayError, UsageError


def main() -> None:
    from app.commands.root import build

    try:
        build()(standalone_mode=True)
    except AssayError as error:
        print(f"assay: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        print("assay: interrupted; run the same command again to go on.", file=sys.stderr)
        sys.exit(130)


def exit_code(error: AssayError) -> int:
    return 2 if isinstance(error, UsageError | AccessError) else 4


if __name__ == "__main__":
    main()
