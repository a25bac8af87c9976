"""The calibrated judge around a chatbot at run time; `guard.cli` composes the command line."""
