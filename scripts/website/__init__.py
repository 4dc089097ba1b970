"""The parts of `scripts/build_site.py`: sources read, marked and linked, and put into one template.

sources (a file becomes a page) → marks (languages, headings, tables, figures) → links → writing.
"""
