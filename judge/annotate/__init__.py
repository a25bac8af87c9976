"""The annotators' page: people label rows in their browser, blind to the judge and to each other.

items   a to_label file (or a run's log) -> the rows to be labelled
marks   what annotators do, as events; what stands after them (pure)
store   the events in SQLite or PostgreSQL
view    what the browser gets to see (pure)
gate    who may ask at all: host, token, content type
app     the web application; `serve` runs it
gold    events -> gold.jsonl
"""
