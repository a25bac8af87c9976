"""Characters replaced by others of the same sound, and by pinyin.

The heads here are trained like `judge.embedded`'s, on texts by their sounds (`guard.views.spoken`).
They are asked only about windows that read as if characters had been replaced: where pairs of
characters stand side by side that ordinary texts don't write. So they cost ordinary texts neither
time nor false alarms.
"""
