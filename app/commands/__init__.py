"""One file per verb: parse, wire, call, print."""
