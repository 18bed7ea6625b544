"""Is anything going wrong that nobody changed? Drift of what is asked and of tables, told as alarms that a budget bounds."""
