"""Judges side by side on the rows that people labelled: which one, at what price, and how sure.

runs             a judge's rows, what they took, and what the judge is called here
cells            the rows that gold and every run have, with what each stands for
figures, pairs   a judge's figures in a cell; two judges' differences, tested
tuning           the doubt band of a cascade of two of the judges
"""
