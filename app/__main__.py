"""`assay <verb>`, the same as `python -m app <verb>`. The one place that maps errors to exit codes.

0 good, 1 the gate failed, 2 wrong use, 3 inconclusive, 4 infrastructure, 130 interrupted.
"""

import sys

from data.errors import AccessError, AssayError, UsageError

INTERRUPTED = 130


def main() -> None:
    from app.commands.root import build

    try:
        build()(prog_name="assay")
    except AssayError as error:
        print(f"assay: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except Exception:  # a fault of ours: Python's own exit code would be the gate's "fail"
        sys.excepthook(*sys.exc_info())
        sys.exit(4)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer turns Ctrl-C into this without a word
            print("assay: interrupted.", file=sys.stderr)
        raise


def exit_code(error: AssayError) -> int:
    return 2 if isinstance(error, UsageError | AccessError) else 4


if __name__ == "__main__":
    main()
