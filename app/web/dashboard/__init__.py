"""The dashboard for analysts: evaluations, verdicts, drift, rollouts and what they cost, read only."""
