"""The model's server behind this one."""
