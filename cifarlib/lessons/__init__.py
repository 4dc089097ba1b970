"""What the notebooks show: one module a notebook, named like it, and what several of them share.

The tables and figures of a topic stand side by side. Nobody needs these for an experiment.
"""
