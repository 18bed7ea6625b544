"""Is it good, for whom: suites, scorers, statistics, reports."""
