"""A gate's report as people and machines read it: Markdown, JUnit XML, JSON, SARIF. Each is a pure function of the report."""
