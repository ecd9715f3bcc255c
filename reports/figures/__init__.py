"""The figures of a report: each function draws on an Axes and gives it back."""
