"""Whole records, judged beside the guard and paid from the day's money."""
