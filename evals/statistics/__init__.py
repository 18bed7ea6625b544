"""What scores prove: intervals, sequential tests, power, variance, correction. Numbers in, numbers out; knows no suite."""
