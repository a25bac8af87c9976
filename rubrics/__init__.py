"""Data: the Chinese rubrics, one file a dimension, and the frame of the judge's prompt."""
